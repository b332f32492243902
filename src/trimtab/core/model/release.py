"""A Release: an immutable set of Artifacts plus configuration, named by the digest of its canonical manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trimtab.core.model.identity import Digest
from trimtab.core.model.specification import Specification

SCHEMA = "trimtab.release/v1"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a release: the digest of its tree (a canonical list of paths, modes and file digests)."""

    digest: Digest
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a release is. Carries no time, commit or path of a machine: the same inputs give the same digest."""

    app: str
    parts: Mapping[str, Part]
    specification: Specification
    schema: str = SCHEMA

    @property
    def digest(self) -> Digest:
        return digest_of(canonical_json(asdict(self)))


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no spaces and UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(content: bytes) -> Digest:
    return "sha256:" + hashlib.sha256(content).hexdigest()
