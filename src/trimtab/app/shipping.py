"""`trimtab export` and `trimtab push`: a release as an OCI image, on a disk or in a registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.oci import Image, PartFiles, Registry, image_of, write_layout
from trimtab.adapters.oci.uploads import Uploads
from trimtab.core.errors import failure
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.image import TITLE, Descriptor, Reference, parse_reference
from trimtab.core.model.release import Manifest, digest_of
from trimtab.views.shipping import ShippedView

Told = Callable[[str, int, int], None]
"""How far it is: of what, how many bytes of how many."""


def export(home: Path, release: str, target: Path, tag: str = "", told: Told = lambda *_: None) -> ShippedView:
    """Write the release to `target`: a new folder, or a file if its name ends in `.tar`. Raises `TrimtabError`."""
    manifest, image = _image(home, release)
    done = 0

    def wrote(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        told("image", done, image.size_bytes)

    write_layout(image, target, tag, wrote)
    return _view(manifest, image, str(target))


def push(home: Path, release: str, to: str, *, plain_http: bool = False, told: Told = lambda *_: None) -> ShippedView:
    """Send the release to a registry, under its digest and the tag (else the short digest). Raises `TrimtabError`."""
    place = parse_reference(to)
    manifest, image = _image(home, release)
    place = Reference(place.host, place.repository, place.tag or short(manifest.digest))

    def progress(blob: Descriptor, sent_bytes: int) -> None:
        told(blob.annotations.get(TITLE, "manifest"), sent_bytes, blob.size_bytes)

    Registry(place, Uploads(home / "uploads"), plain_http=plain_http or _is_here(place.host)).push(
        image, place.tag, progress
    )
    return _view(manifest, image, str(place))


def _image(home: Path, wanted: str) -> tuple[Manifest, Image]:
    artifacts = FileArtifacts(home / "artifacts")

    async def read() -> tuple[Manifest, Image]:
        release = _one_of(await artifacts.releases(), wanted)
        manifest = await artifacts.manifest(release)
        content = manifest.content()
        if digest_of(content) != release:
            message = f"release {short(release)} was cut by another version of Trimtab and cannot be written as it was"
            raise failure("artifact-schema", message, "use that version, or start the run of its commit again")
        root = await artifacts.materialise(release)  # verifies what is about to leave the house
        files = PartFiles(root, await artifacts.files(release))
        bundles = (await artifacts.attestations(release)).values()
        envelopes = [line for bundle in bundles for line in bundle.splitlines()]
        return manifest, await asyncio.to_thread(image_of, manifest.app, content, files, envelopes)

    return asyncio.run(read())


def _one_of(releases: tuple[Digest, ...], wanted: str) -> Digest:
    digits = wanted.removeprefix("sha256:")
    found = [release for release in releases if digits and release.removeprefix("sha256:").startswith(digits)]
    if len(found) == 1:
        return found[0]
    what = "is no release that is kept here" if not found else f"is the beginning of {len(found)} releases"
    raise failure("release-unknown", f"{wanted} {what}", "`trimtab releases` lists them")


def _is_here(host: str) -> bool:
    """Registries on this machine are spoken to without TLS, as by Docker."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name in ("localhost", "[::1]") or name.startswith("127.")


def _view(manifest: Manifest, image: Image, place: str) -> ShippedView:
    return ShippedView(
        release=manifest.digest,
        app=manifest.app,
        place=place,
        image=image.manifest.descriptor.digest,
        size_bytes=image.size_bytes,
        parts=tuple(sorted(manifest.parts)),
        attestations=len(image.attestations),
    )
