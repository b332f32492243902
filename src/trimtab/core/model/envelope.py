"""DSSE envelopes (https://github.com/secure-systems-lab/dsse): what was signed, and by which keys; and bundles of them.

What is kept is read strictly: the only bytes that stand for an envelope are those that `encode_envelope` writes. So
there is no bit of a stored file that could be changed without being noticed, not even one that means nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from trimtab.core.model.release import canonical_json

IN_TOTO = "application/vnd.in-toto+json"
"""The payload type of in-toto statements."""

Standing = Literal["good", "bad", "unknown", "revoked"]
"""Of a signature. ``bad``: the key is trusted, and has not signed these bytes. ``unknown``: no trusted key has this
name. ``revoked``: it was trusted once."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key by its name. ``signs``: it signs now, and is trusted. ``damaged``: its file does not hold it any more, so
    it is not trusted."""

    keyid: str
    role: Literal["signs", "trusted", "damaged", "revoked"]


@dataclass(frozen=True, slots=True)
class Signature:
    """`keyid`: the name of the key, the SHA-256 of its public half (SubjectPublicKeyInfo, DER) in hex."""

    keyid: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    payload: bytes
    signatures: tuple[Signature, ...]
    payload_type: str = IN_TOTO

    @property
    def signed(self) -> bytes:
        """The bytes that its signatures are of."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: no other pair of type and payload gives the same bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode_envelope(envelope: Envelope) -> bytes:
    """One line of JSON without its end."""
    return canonical_json(
        {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type,
            "signatures": [
                {"keyid": each.keyid, "sig": base64.b64encode(each.signature).decode()} for each in envelope.signatures
            ],
        }
    )


def decode_envelope(line: bytes) -> Envelope:
    """Raises `ValueError` for all that `encode_envelope` does not write."""
    try:
        fields = json.loads(line)
        signatures = tuple(
            Signature(str(each["keyid"]), base64.b64decode(each["sig"], validate=True)) for each in fields["signatures"]
        )
        payload = base64.b64decode(fields["payload"], validate=True)
        envelope = Envelope(payload, signatures, str(fields["payloadType"]))
        same = encode_envelope(envelope) == line
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no DSSE envelope ({type(error).__name__})") from None
    if not same:
        raise ValueError("it is a DSSE envelope in another form than it was written in")
    return envelope


def encode_bundle(envelopes: Iterable[Envelope]) -> bytes:
    """Several envelopes as JSON Lines: an in-toto bundle."""
    return b"".join(encode_envelope(envelope) + b"\n" for envelope in envelopes)


def decode_bundle(content: bytes) -> tuple[Envelope | str, ...]:
    """Its envelopes; in place of one that cannot be read, why."""
    lines = content.split(b"\n")
    found = [_read(line) for line in lines[:-1]]
    if lines[-1] or not found:
        found.append("the end of the file is missing")
    return tuple(found)


def _read(line: bytes) -> Envelope | str:
    try:
        return decode_envelope(line)
    except ValueError as error:
        return str(error)
