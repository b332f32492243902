"""Bytes by their digest, in files: `blobs/ab/cdef...`, never changed once written.

With seals, large files are special: they are stored once, for what is made of them is a link, and are not read again
as long as nothing has touched them.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from trimtab.adapters.artifacts.seals import Seals
from trimtab.core.model.identity import Digest
from trimtab.core.model.release import digest_of
from trimtab.core.model.reproducible import FILE_TIME_S
from trimtab.core.model.tree import LARGE_BYTES

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

    def __init__(self, folder: Path, temporary: Path, *, durable: bool = True, seals: Seals | None = None) -> None:
        self._folder = folder
        self._temporary = temporary
        self._durable = durable
        self._seals = seals

    def path(self, digest: Digest) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name[2:]

    def put_file(self, path: Path) -> tuple[Digest, int]:
        """Keep a copy of a file; its digest and size in bytes. A damaged copy from earlier is replaced."""
        with path.open("rb") as file:
            if not self._is_surely_new(os.fstat(file.fileno()).st_size):
                digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
                if self.is_sound(digest):
                    return digest, file.tell()
                file.seek(0)
            return self._keep(file)

    def put_known(self, digest: Digest, at: str) -> None:
        """Keep a file that should have this digest, and that nobody changes: a large one under another name of it, of
        others a copy. Raises `DamagedBlob` when it has another digest."""
        if self.is_sound(digest) or self._adopt(digest, Path(at)):
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
        return digest if self.is_sound(digest) else self._keep(io.BytesIO(content))[0]

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

    def check(self, digest: Digest) -> None:
        """Raises `DamagedBlob` unless every byte is as it was put."""
        if not self.is_sound(digest):
            raise DamagedBlob(digest, self.path(digest))

    def copy(self, digest: Digest, into: Path, mode: int) -> None:
        """Write the bytes, verified as they pass, to the file `into`, whatever it was; for large ones that may not be
        changed it becomes a link. Raises `DamagedBlob` and leaves `into` as it was."""
        path = self.path(digest)
        try:
            source = path.open("rb")
        except FileNotFoundError:
            raise DamagedBlob(digest, path) from None
        with source:
            if mode == READ_ONLY and os.fstat(source.fileno()).st_size >= LARGE_BYTES and self._link(digest, into):
                return
            new = draft_of(into)
            with new.open("xb") as target:
                found, _ = _copy(source, target)
                target.flush()
                os.fchmod(target.fileno(), mode)
                os.utime(target.fileno(), (FILE_TIME_S, FILE_TIME_S))
        if found != digest:
            new.unlink()
            raise DamagedBlob(digest, path)
        new.replace(into)

    def is_link(self, digest: Digest, status: os.stat_result) -> bool:
        """Whether a file is the very one that is kept here, and is sound."""
        try:
            return os.path.samestat(status, os.stat(self.path(digest))) and self.is_sound(digest)
        except FileNotFoundError:
            return False

    def is_sound(self, digest: Digest) -> bool:
        """Whether the bytes are here and are those. What was read and is sealed is not read again."""
        path = self.path(digest)
        try:
            status = path.stat()
            if self._seals is None or status.st_size < LARGE_BYTES:
                return file_digest(path) == digest
            with self._seals.turn(digest):
                return self._is_sealed(digest, self._seals)
        except FileNotFoundError:
            return False

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
        if self._seals is not None:
            self._seals.sweep(keep)
        return freed_bytes

    def _is_surely_new(self, size_bytes: int) -> bool:
        """A large file of a size that none here has: reading it only to look it up would cost as much as keeping it."""
        return self._seals is not None and size_bytes >= LARGE_BYTES and size_bytes not in self._seals.sizes()

    def _adopt(self, digest: Digest, file: Path) -> bool:
        """False: it is small, has another digest, or cannot have another name here."""
        if self._seals is None or not file.exists() or file.stat().st_size < LARGE_BYTES:
            return False
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._seals.turn(digest):
            new = draft_of(self._temporary / path.name)
            try:
                os.link(file, new)
            except OSError:
                return False
            if file_digest(new) != digest:
                new.unlink()
                return False
            with new.open("rb") as kept:
                os.fsync(kept.fileno())  # whoever wrote it may not have needed that
            new.chmod(READ_ONLY)
            new.replace(path)
            self._seals.seal(digest, path)
        return True

    def _is_sealed(self, digest: Digest, seals: Seals) -> bool:
        """In the digest's turn."""
        path = self.path(digest)
        if seals.holds(digest, path.stat()):
            return True
        if file_digest(path) != digest:
            return False
        path.chmod(READ_ONLY)  # should somebody have changed it by another name
        seals.seal(digest, path)
        return True

    def _link(self, digest: Digest, into: Path) -> bool:
        """False where files cannot have several names. Raises `DamagedBlob`."""
        if self._seals is None:
            return False
        path = self.path(digest)
        with self._seals.turn(digest):
            if not self._is_sealed(digest, self._seals):
                raise DamagedBlob(digest, path)
            if into.exists() and into.samefile(path):
                return True
            new = draft_of(into)
            try:
                os.link(path, new)
            except OSError:
                return False
            new.replace(into)
            self._seals.seal(digest, path)  # a new name is a change, too
        return True

    def _keep(self, source: IO[bytes]) -> tuple[Digest, int]:
        handle, temporary = tempfile.mkstemp(dir=self._temporary)
        with os.fdopen(handle, "wb") as file:
            # The digest is of what was written: the source may have changed since it was looked at.
            digest, size_bytes = _copy(source, file)
            file.flush()
            os.fchmod(handle, READ_ONLY)
            os.utime(handle, (FILE_TIME_S, FILE_TIME_S))
            if self._durable:
                os.fsync(handle)
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, path)
        if self._seals is not None and size_bytes >= LARGE_BYTES:
            with self._seals.turn(digest):
                self._seals.seal(digest, path)
        return digest, size_bytes


def draft_of(path: Path) -> Path:
    """The name beside `path` under which it is written; nothing has it."""
    draft = path.with_name(f".{path.name[:200]}.trimtab-new")
    draft.unlink(missing_ok=True)
    return draft


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
    """What was written is what was hashed; the one is done beside the other where there is much of it."""
    seen, size_bytes = hashlib.sha256(), 0
    if len(chunk := source.read(_CHUNK)) < _CHUNK:
        seen.update(chunk)
        target.write(chunk)
        return f"sha256:{seen.hexdigest()}", len(chunk)
    with ThreadPoolExecutor(1, "hash") as beside:
        while chunk:
            hashed = beside.submit(seen.update, chunk)
            target.write(chunk)
            size_bytes += len(chunk)
            chunk = source.read(_CHUNK)
            hashed.result()
    return f"sha256:{seen.hexdigest()}", size_bytes
