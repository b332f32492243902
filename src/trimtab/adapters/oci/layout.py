"""An OCI image layout: a folder, or a tar archive of it, that `skopeo`, `oras` and `crane` copy to any registry.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trimtab.adapters.oci.image import Content, Image
from trimtab.core.errors import failure
from trimtab.core.model.image import REF_NAME, image_index
from trimtab.core.model.release import canonical_json

_MARK = canonical_json({"imageLayoutVersion": "1.0.0"})


def write_layout(image: Image, target: Path, tag: str, wrote: Callable[[int], None]) -> None:
    """Write the image to the new folder `target`, or to a file if its name ends in `.tar`. `wrote` hears of the bytes.

    Nothing has the name `target` before all of it is there. Raises `TrimtabError`: `exists`, `artifact-corrupt` when
    a file is not what the release says, `export-io`.
    """
    if os.path.lexists(target):
        raise failure("exists", "there is something of this name already", "choose another name", str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as draft:
            folder = Path(draft) / "layout"
            folder.mkdir()
            _write_folder(image, folder, tag, wrote)
            if target.suffix != ".tar":
                folder.rename(target)
                return
            _pack(folder, Path(draft) / "layout.tar")
            (Path(draft) / "layout.tar").rename(target)
    except OSError as error:
        message = f"the image cannot be written: {error.strerror}"
        raise failure(
            "export-io", message, "see that there is space and that you may write there", str(target)
        ) from error


def _write_folder(image: Image, folder: Path, tag: str, wrote: Callable[[int], None]) -> None:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for each in (image, *image.attestations):
        for content in (*each.contents, each.manifest):
            _write_blob(content, blobs, wrote)
    manifest = replace(image.manifest.descriptor, annotations={REF_NAME: tag} if tag else {})
    attestations = [attestation.manifest.descriptor for attestation in image.attestations]
    (folder / "index.json").write_bytes(image_index([manifest, *attestations]))
    (folder / "oci-layout").write_bytes(_MARK)


def _write_blob(content: Content, blobs: Path, wrote: Callable[[int], None]) -> None:
    digest, seen = content.descriptor.digest, hashlib.sha256()
    with (blobs / digest.removeprefix("sha256:")).open("wb") as file:
        for chunk in content.read(0):
            file.write(chunk)
            seen.update(chunk)
            wrote(len(chunk))
    if f"sha256:{seen.hexdigest()}" != digest:
        hint = "write it again; if that does not help, start the run of the release's commit again"
        raise failure("artifact-corrupt", "the release's files changed while they were read", hint)


def _pack(folder: Path, into: Path) -> None:
    """The same layout gives the same archive."""
    with tarfile.open(into, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            info = tarfile.TarInfo(str(path.relative_to(folder)))
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info, io.BytesIO())
                continue
            info.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(info, file)
            path.unlink()  # a release may be large: it is not there twice for longer than it must be
    shutil.rmtree(folder)
