"""Whether a message is from who knows the secret. All comparisons take the same time whatever they find."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from trimtab.core.errors import TrimtabError, failure

TOLERATED_S = 300.0
"""How far a signed time may be from ours."""
SIGNING_PREFIX = "whsec_"
"""What a secret begins with that can sign by the Standard Webhooks specification: 32 bytes in base64 follow."""
_RENEW = "enter the webhook's secret in the forge's settings: it is in the file `secrets/APP/forge-webhook`"


def unsigned(header: str) -> TrimtabError:
    """The error for a message without a signature."""
    message = f"the message is not signed: it has no header `{header}`"
    return failure("webhook-unsigned", message, _RENEW)


def require_hex(headers: Mapping[str, str], names: tuple[str, ...], prefix: str, secret: str, body: bytes) -> None:
    """One of the headers has `prefix` and the HMAC-SHA256 of the body in hex digits. Raises `TrimtabError`."""
    given = next((headers[name] for name in names if name in headers), None)
    if given is None:
        raise unsigned(names[0])
    expected = prefix + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    _require_same(expected, given.strip())


def require_token(given: str, secret: str) -> None:
    """The message carries the secret itself. Raises `TrimtabError`."""
    _require_same(secret, given)


def require_standard(headers: Mapping[str, str], secret: str, body: bytes, now: float) -> None:
    """Signed by the Standard Webhooks specification, not long ago. Raises `TrimtabError`."""
    said_at = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id', '')}.{said_at}.".encode("utf-8", "replace") + body
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong() from None
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # While a secret is changed, a message has a signature for each.
    given = headers.get("webhook-signature", "").encode("latin-1", "replace").split(b" ")
    matches = [hmac.compare_digest(expected, one) for one in given]
    if not any(matches):
        raise _wrong()
    if not said_at.isdigit() or abs(now - float(said_at)) > TOLERATED_S:
        hint = "if it was sent just now, set this machine's clock, and let NTP keep it"
        raise failure("webhook-signature", "the message was signed more than 5 minutes ago or ahead", hint)


def _require_same(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape")):
        raise _wrong()


def _wrong() -> TrimtabError:
    return failure("webhook-signature", "the message is not signed with this application's webhook secret", _RENEW)
