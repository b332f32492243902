"""A Release: an immutable set of Artifacts plus configuration, named by the digest of its canonical manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trimtab.core.model.identity import Digest
from trimtab.core.model.specification import RequireSpec, Specification

SCHEMA = "trimtab.release/v1"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a release: the digest of its tree (a canonical list of paths, modes and file digests)."""

    digest: Digest
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A prompt as it is in a release. `version` is the digest of its file's digest and its variables (sorted): two
    releases with the same version have the same prompt."""

    version: Digest
    file: str
    digest: Digest
    size_bytes: int
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One file of a release by its content."""

    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a release is. Carries no time, commit or path of a machine: the same inputs give the same digest."""

    app: str
    parts: Mapping[str, Part]
    specification: Specification
    schema: str = SCHEMA
    prompts: Mapping[str, PromptVersion] = field(default_factory=dict)
    model_files: Mapping[str, FileVersion] = field(default_factory=dict)
    """By path."""
    read_as: Digest = field(default="", compare=False)
    """The digest of the stored bytes that this was read from, which another version may have written; empty: it was
    made here. No part of what is stored."""

    @property
    def digest(self) -> Digest:
        """The release's name. What was read keeps the name that it had, whatever fields there are by now."""
        return self.read_as or digest_of(self.content())

    def content(self) -> bytes:
        """The canonical bytes, which are stored. Fields that came later are left out where they say nothing: what says
        the same as before has the same name as before."""
        fields = asdict(self)
        del fields["read_as"]
        specification = fields["specification"]
        _leave_out(fields, prompts={}, model_files={})
        _leave_out(specification["release"], prompts={}, config=None, config_file="", flags="", hot=())
        for step in specification["steps"]:
            _leave_out(step, for_each=None)
        for place in specification["environments"]:
            _leave_out(place, require=_REQUIRED)
        return canonical_json(fields)


_REQUIRED = asdict(RequireSpec())


def _leave_out(fields: dict[str, Any], **unsaid: object) -> None:
    """Fields that came later and have the value by which they say nothing."""
    for name, value in unsaid.items():
        if fields[name] == value:
            del fields[name]


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no spaces and UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(content: bytes) -> Digest:
    return "sha256:" + hashlib.sha256(content).hexdigest()
