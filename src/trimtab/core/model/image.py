"""A release as an OCI image manifest: what other tools can store, copy, scan and fetch.

https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md, section "Guidelines for Artifact Usage".
The manifest's `config` is the release's own manifest, so its digest there is the release's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.errors import failure
from trimtab.core.model.identity import Digest
from trimtab.core.model.release import canonical_json, digest_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
RELEASE = "application/vnd.trimtab.release.v1"
RELEASE_MANIFEST = "application/vnd.trimtab.release.manifest.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
REF_NAME = "org.opencontainers.image.ref.name"

NOTHING = b"{}"
"""The configuration of what has none."""

_HOST = re.compile(
    r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|\[[0-9a-fA-F:]+\]|[A-Za-z0-9-]+(?=:))(?::[0-9]{1,5})?"
)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a blob is: its media type, digest and size."""

    media_type: str
    digest: Digest
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """As OCI writes it."""
        fields: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}
        return fields | ({"annotations": dict(self.annotations)} if self.annotations else {})


@dataclass(frozen=True, slots=True)
class Reference:
    """``HOST[:PORT]/REPOSITORY[:TAG]``, as `docker push` and `oras push` take it."""

    host: str
    repository: str
    tag: str = ""

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}" + (f":{self.tag}" if self.tag else "")


def image_manifest(app: str, release: bytes, layers: Sequence[Descriptor]) -> bytes:
    """The image manifest of a release. `release`: the canonical bytes of its own manifest; `layers`: its parts."""
    config = Descriptor(RELEASE_MANIFEST, digest_of(release), len(release))
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": RELEASE,
            "config": config.fields(),
            "layers": [layer.fields() for layer in layers],
            "annotations": {TITLE: app},
        }
    )


def attestation_manifest(envelope: Descriptor, subject: Descriptor) -> bytes:
    """The manifest of what is attested of an image: a signed envelope that refers to it.

    https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md, `subject`.
    """
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ENVELOPE,
            "config": Descriptor(EMPTY, digest_of(NOTHING), len(NOTHING)).fields(),
            "layers": [envelope.fields()],
            "subject": Descriptor(subject.media_type, subject.digest, subject.size_bytes).fields(),
        }
    )


def image_index(manifests: Sequence[Descriptor]) -> bytes:
    """What an image layout, or a tag with several manifests, begins with."""
    fields = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [each.fields() for each in manifests]}
    return canonical_json(fields)


def parse_reference(text: str) -> Reference:
    """Raises `TrimtabError` (`registry-reference`) for what is none."""
    host, slash, rest = text.partition("/")
    repository, colon, tag = rest.partition(":")
    if not slash or not _HOST.fullmatch(host):
        raise _wrong(text, "it does not begin with a registry's host")
    if not _REPOSITORY.fullmatch(repository):
        raise _wrong(text, f"`{repository}` is no repository: small letters, digits, and - _ . between them")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(text, f"`{tag}` is no tag")
    return Reference(host, repository, tag)


def _wrong(text: str, why: str) -> Exception:
    hint = "write it as HOST[:PORT]/REPOSITORY[:TAG], for example ghcr.io/acme/assistant:latest"
    return failure("registry-reference", f"`{text}` names no place in a registry: {why}", hint)
