"""Signs requests to AWS: Signature Version 4, after "Create a signed AWS API request" in the IAM User Guide."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

import httpx

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    """Of a key that expires; may be empty."""


def sign(
    method: str,
    url: httpx.URL,
    headers: Mapping[str, str],
    content: bytes,
    credentials: Credentials,
    scope: tuple[str, str],
    at: float,
) -> dict[str, str]:
    """The headers with those that sign the request. `scope`: region and service; `at`: seconds since the epoch."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "Host": url.netloc.decode(), "X-Amz-Date": stamp}
    if credentials.token:
        signed["X-Amz-Security-Token"] = credentials.token
    lines = {name.lower(): " ".join(value.split()) for name, value in signed.items()}
    names = ";".join(sorted(lines))
    canonical = "\n".join(
        (
            method,
            quote(url.path or "/", safe="/-_.~"),
            _parameters(url),
            *(f"{name}:{lines[name]}" for name in sorted(lines)),
            "",
            names,
            hashlib.sha256(content).hexdigest(),
        )
    )
    place = "/".join((stamp[:8], *scope, "aws4_request"))
    text = "\n".join((_ALGORITHM, stamp, place, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret}".encode()
    for part in place.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    authorization = f"{_ALGORITHM} Credential={credentials.key}/{place}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "Authorization": authorization}


def _parameters(url: httpx.URL) -> str:
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in url.params.multi_items())
    return "&".join(f"{name}={value}" for name, value in pairs)
