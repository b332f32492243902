"""Bytes by their digest, in files: `blobs/ab/cdef...`, never changed once written."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO

from trimtab.core.model.identity import Digest
from trimtab.core.model.release import digest_of

READ_ONLY = 0o444
_CHUNK = 1024 * 1024


class DamagedBlob(Exception):
    """The bytes kept under `digest` are not those, or are gone."""

    def __init__(self, digest: Digest, path: Path) -> None:
        super().__init__(f"{path} does not hold {digest}")
        self.digest = digest
        self.path = path


class Blobs:
    """A folder of blobs. Every method blocks; what was put survives a power cut once `settle` has returned, unless it
    need not be `durable`."""

    def __init__(self, folder: Path, temporary: Path, *, durable: bool = True) -> None:
        self._folder = folder
        self._temporary = temporary
        self._durable = durable

    def path(self, digest: Digest) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name[2:]

    def put_file(self, path: Path) -> tuple[Digest, int]:
        """Keep a copy of a file; its digest and size in bytes. A damaged copy from earlier is replaced."""
        with path.open("rb") as file:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            if self._is_sound(digest):
                return digest, file.tell()
            file.seek(0)
            return self._keep(file)

    def put_known(self, digest: Digest, at: str) -> None:
        """Keep a copy of a file that should have this digest. Raises `DamagedBlob` when it has another."""
        if self._is_sound(digest):
            return
        try:
            found, _ = self.put_file(Path(at))
        except FileNotFoundError:
            found = ""
        if found != digest:
            raise DamagedBlob(digest, Path(at))

    def put_bytes(self, content: bytes) -> Digest:
        """Keep `content`; its digest."""
        digest = digest_of(content)
        return digest if self._is_sound(digest) else self._keep(io.BytesIO(content))[0]

    def settle(self, digests: Iterable[Digest]) -> None:
        """Make the names of these blobs as lasting as their bytes already are."""
        for folder in {self.path(digest).parent for digest in digests}:
            sync_folder(folder)
        sync_folder(self._folder)

    def read(self, digest: Digest) -> bytes:
        """The bytes, verified. Raises `DamagedBlob`."""
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DamagedBlob(digest, path) from None
        if digest_of(content) != digest:
            raise DamagedBlob(digest, path)
        return content

    def copy(self, digest: Digest, into: Path, mode: int) -> None:
        """Write the bytes, verified as they pass, to the new file `into`. Raises `DamagedBlob` and leaves no file."""
        path = self.path(digest)
        try:
            source = path.open("rb")
        except FileNotFoundError:
            raise DamagedBlob(digest, path) from None
        with source, into.open("xb") as target:
            found, _ = _copy(source, target)
            os.fchmod(target.fileno(), mode)
        if found != digest:
            into.unlink()
            raise DamagedBlob(digest, path)

    def seem_sound(self, files: Iterable[tuple[Digest, int]]) -> bool:
        """Whether blobs of these digests and sizes in bytes are here; their bytes are not read."""
        folder = str(self._folder)
        for digest, size_bytes in files:
            name = digest.removeprefix("sha256:")
            try:
                if os.stat(f"{folder}/{name[:2]}/{name[2:]}").st_size != size_bytes:
                    return False
            except FileNotFoundError:
                return False
        return True

    def sweep(self, keep: Collection[Digest]) -> int:
        """Remove all but `keep`; how many bytes were freed."""
        freed_bytes = 0
        for path in self._folder.glob("??/*"):
            if f"sha256:{path.parent.name}{path.name}" not in keep:
                freed_bytes += path.stat().st_size
                path.unlink()
        return freed_bytes

    def _is_sound(self, digest: Digest) -> bool:
        try:
            return file_digest(self.path(digest)) == digest
        except FileNotFoundError:
            return False

    def _keep(self, source: IO[bytes]) -> tuple[Digest, int]:
        handle, temporary = tempfile.mkstemp(dir=self._temporary)
        with os.fdopen(handle, "wb") as file:
            # The digest is of what was written: the source may have changed since it was looked at.
            digest, size_bytes = _copy(source, file)
            file.flush()
            os.fchmod(handle, READ_ONLY)
            if self._durable:
                os.fsync(handle)
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, path)
        return digest, size_bytes


def file_digest(path: Path) -> Digest:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(source: IO[bytes], target: IO[bytes]) -> tuple[Digest, int]:
    seen, size_bytes = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        seen.update(chunk)
        target.write(chunk)
        size_bytes += len(chunk)
    return f"sha256:{seen.hexdigest()}", size_bytes
