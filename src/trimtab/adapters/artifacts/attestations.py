"""What is attested of releases: a folder for each release, a file for each run that has cut it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from trimtab.adapters.artifacts.blobs import READ_ONLY, sync_folder
from trimtab.core.model.identity import Digest, is_digest, is_name

SUFFIX = ".intoto.jsonl"


class Attestations:
    """Every method blocks."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self._folder, self._temporary = folder, temporary

    def keep(self, release: Digest, name: str, bundle: bytes) -> None:
        assert is_name(name), name
        folder = self._of(release)
        is_new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._temporary)
        with os.fdopen(handle, "wb") as file:
            file.write(bundle)
            file.flush()
            os.fchmod(handle, READ_ONLY)
            os.fsync(handle)
        os.replace(temporary, folder / f"{name}{SUFFIX}")
        sync_folder(folder)
        if is_new:
            sync_folder(self._folder)

    def read(self, release: Digest) -> Mapping[str, bytes]:
        if not is_digest(release):
            return {}
        found = {}
        for path in sorted(self._of(release).glob(f"*{SUFFIX}")):
            with suppress(FileNotFoundError):  # the release was collected meanwhile
                found[path.name.removesuffix(SUFFIX)] = path.read_bytes()
        return found

    def remove(self, release: Digest, names: Collection[str]) -> None:
        for name in names:
            (self._of(release) / f"{name}{SUFFIX}").unlink(missing_ok=True)

    def sweep(self, keep: Collection[Digest]) -> int:
        """Remove all of those of other releases; how many bytes were freed."""
        kept, freed_bytes = {self._of(release).name for release in keep}, 0
        for folder in [path for path in self._folder.glob("*") if path.name not in kept]:
            for path in folder.glob("*"):
                freed_bytes += path.stat().st_size
                path.unlink()
            folder.rmdir()
        return freed_bytes

    def _of(self, release: Digest) -> Path:
        return self._folder / release.removeprefix("sha256:")
