"""A release as blobs and the manifest that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.oci.part_tar import PartTar
from trimtab.core.model.image import (
    EMPTY,
    ENVELOPE,
    LAYER,
    MANIFEST,
    NOTHING,
    RELEASE_MANIFEST,
    TITLE,
    Descriptor,
    attestation_manifest,
    image_manifest,
)
from trimtab.core.model.release import digest_of
from trimtab.core.model.tree import TreeEntry


@dataclass(frozen=True, slots=True)
class Content:
    """A blob: what it is, and its bytes from an offset on."""

    descriptor: Descriptor
    read: Callable[[int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Image:
    """All that a release is: `contents` first, then the manifest, without which nobody looks at them."""

    manifest: Content
    contents: tuple[Content, ...]
    attestations: tuple[Image, ...] = ()
    """What is attested of it: images of their own, which refer to this one."""

    @property
    def size_bytes(self) -> int:
        own = sum(content.descriptor.size_bytes for content in (*self.contents, self.manifest))
        return own + sum(attestation.size_bytes for attestation in self.attestations)


@dataclass(frozen=True, slots=True)
class PartFiles:
    """The files of a release: its folder, and which of them belong to each part."""

    root: Path
    parts: Mapping[str, Sequence[TreeEntry]]


def image_of(app: str, release: bytes, files: PartFiles, envelopes: Sequence[bytes] = ()) -> Image:
    """Reads every part once for its digest. `release`: the canonical bytes of the release's manifest; `envelopes`:
    signed statements about it."""
    layers = [_layer(name, PartTar(files.root, entries)) for name, entries in sorted(files.parts.items())]
    manifest = in_memory(MANIFEST, image_manifest(app, release, [layer.descriptor for layer in layers]))
    attestations = tuple(_attestation(envelope, manifest.descriptor) for envelope in sorted(envelopes))
    return Image(manifest, (in_memory(RELEASE_MANIFEST, release), *layers), attestations)


def _attestation(envelope: bytes, subject: Descriptor) -> Image:
    content = in_memory(ENVELOPE, envelope)
    manifest = attestation_manifest(content.descriptor, subject)
    return Image(in_memory(MANIFEST, manifest), (in_memory(EMPTY, NOTHING), content))


def in_memory(media_type: str, data: bytes) -> Content:
    """A small blob."""

    def read(offset: int) -> Iterator[bytes]:
        yield data[offset:]

    return Content(Descriptor(media_type, digest_of(data), len(data)), read)


def _layer(part: str, tar: PartTar) -> Content:
    seen = hashlib.sha256()
    for chunk in tar.read():
        seen.update(chunk)
    return Content(Descriptor(LAYER, f"sha256:{seen.hexdigest()}", tar.size_bytes, {TITLE: part}), tar.read)
