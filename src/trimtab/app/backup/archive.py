"""The file: a gzipped tar that begins with what it is (`HEAD`) and ends with the digest of every member (`LIST`).

The list is last, so that nothing has to be read twice while writing, and so that a file that was cut off has none.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from trimtab.core.errors import TrimtabError, failure

FORMAT = 1
HEAD, LIST = "trimtab-backup.json", "members.json"
LINKED = ("workspaces/", "instances/state/")
"""The folders in which others write as they like: there may be symbolic links in them."""
TELL_EVERY_BYTES = 100_000_000
_CHUNK = 1024 * 1024
_COMPRESSION = 1


@dataclass(frozen=True, slots=True)
class Head:
    """What the file is of. `home`: the folder, absolute; paths in some members begin with it."""

    version: str
    schema: int
    at: float
    home: str
    format: int = FORMAT


class Writer:
    """Adds members; `close` adds the list. `scratch`: a folder for copies of files that change while they are read."""

    def __init__(self, target: IO[bytes], scratch: Path, head: Head) -> None:
        self._tar = tarfile.TarFile.gzopen("", "w", target, _COMPRESSION)
        self._scratch = scratch
        self._digests: dict[str, str] = {}
        self.add_bytes(HEAD, json.dumps(asdict(head)).encode())

    @property
    def members(self) -> int:
        return len(self._digests)

    def add_bytes(self, name: str, content: bytes, mode: int = 0o600) -> None:
        self._add(name, io.BytesIO(content), len(content), mode)

    def add_file(self, name: str, path: Path) -> str:
        """A file that nobody changes; the SHA-256 of what was read, in hex."""
        with path.open("rb") as file:
            status = path.stat()
            return self._add(name, file, status.st_size, status.st_mode & 0o777)

    def add_changing(self, name: str, path: Path) -> None:
        """A file that somebody may be writing: as it is while it is copied."""
        with path.open("rb") as file, tempfile.TemporaryFile(dir=self._scratch) as copy:
            shutil.copyfileobj(file, copy, _CHUNK)
            size_bytes = copy.tell()
            copy.seek(0)
            self._add(name, copy, size_bytes, path.stat().st_mode & 0o777)

    def add_link(self, name: str, target: str) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(info)
        self._digests[name] = _link_digest(target)

    def close(self) -> None:
        listed = json.dumps(self._digests).encode()
        info = tarfile.TarInfo(LIST)
        info.size, info.mode = len(listed), 0o600
        self._tar.addfile(info, io.BytesIO(listed))
        self._tar.close()

    def _add(self, name: str, content: IO[bytes], size_bytes: int, mode: int) -> str:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size_bytes, mode
        hashing = _Hashing(content)
        self._tar.addfile(info, hashing)
        self._digests[name] = digest = hashing.digest()
        return digest


class _Hashing:
    """A file that remembers the digest of what was read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._seen = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._seen.update(chunk)
        return chunk

    def digest(self) -> str:
        return self._seen.hexdigest()


def unpack(path: Path, into: Path, say: Callable[[str], None] = lambda _: None) -> Head:
    """Write every member below the empty folder `into`, and verify all of it; the list and the head are left out.
    `say` is told how far it is.

    Raises `TrimtabError`: `backup-damaged`, `backup-refused` (a member that has no business in a backup),
    `backup-newer`, `backup-unreadable`. What is in `into` then is worth nothing.
    """
    try:
        with gzip.open(path) as content, tarfile.open(fileobj=content, mode="r|") as tar:
            unpacking = _Unpacking(path, into, say)
            head = unpacking.members(tar)
            while content.read(_CHUNK):
                pass  # to the checksum at its end
            unpacking.links()
            return head
    except (tarfile.TarError, EOFError, zlib.error, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise damaged(path, str(error)) from None
    except OSError as error:
        if error.errno is None:  # gzip's own: a wrong checksum, no gzip file at all
            raise damaged(path, str(error)) from None
        hint = "see that the file can be read, and that there is space and permission to write the folder"
        raise failure("backup-unreadable", f"it cannot be unpacked: {error.strerror}", hint, str(path)) from None


class _Unpacking:
    """One pass over the file."""

    def __init__(self, path: Path, into: Path, say: Callable[[str], None]) -> None:
        self._path, self._into, self._say = path, into, say
        self._bytes = self._told_bytes = 0
        self._found: dict[str, str] = {}
        self._links: list[tuple[Path, str]] = []

    def members(self, tar: tarfile.TarFile) -> Head:
        members = iter(tar)
        head = self._head(tar, next(members, None))
        listed: dict[str, str] | None = None
        for info in members:
            if listed is not None:
                raise self._refused(info.name, "it comes after the list of members")
            if info.name == LIST:
                listed = json.loads(_content(tar, info).read())
            else:
                self._member(tar, info)
        if listed is None:
            raise damaged(self._path, "its end is missing")
        if listed != self._found:
            wrong = sorted(name for name in {*listed, *self._found} if listed.get(name) != self._found.get(name))
            raise damaged(self._path, f"{wrong[0]} is not what was written")
        return head

    def links(self) -> None:
        """Symbolic links come last, so that no file was written through one of them."""
        for place, target in self._links:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)

    def _head(self, tar: tarfile.TarFile, info: tarfile.TarInfo | None) -> Head:
        if info is None or info.name != HEAD or not info.isreg():
            raise failure(
                "backup-damaged", "this is no backup of Trimtab", "`trimtab backup` writes one", str(self._path)
            )
        content = _content(tar, info).read()
        fields: dict[str, Any] = json.loads(content)
        if fields.get("format", 0) > FORMAT:
            raise newer(self._path, f"its format is {fields['format']}, this version reads up to {FORMAT}")
        self._found[HEAD] = hashlib.sha256(content).hexdigest()
        try:
            return Head(**fields)
        except TypeError as error:
            raise damaged(self._path, str(error)) from None

    def _member(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        if info.name in self._found:
            raise self._refused(info.name, "it is there twice")
        place = self._into / self._safe(info.name)
        if info.issym() and info.name.startswith(LINKED):
            self._found[info.name] = _link_digest(info.linkname)
            self._links.append((place, info.linkname))
            return
        if not info.isreg():
            raise self._refused(info.name, "it is no plain file")
        place.parent.mkdir(parents=True, exist_ok=True)
        hashing = _Hashing(_content(tar, info))
        with place.open("xb") as file:
            while chunk := hashing.read(_CHUNK):
                file.write(chunk)
                self._tell(len(chunk))
        place.chmod(info.mode & 0o777)
        self._found[info.name] = hashing.digest()

    def _tell(self, more_bytes: int) -> None:
        self._bytes += more_bytes
        if self._bytes - self._told_bytes > TELL_EVERY_BYTES:
            self._told_bytes = self._bytes
            self._say(f"unpacked {self._bytes / 1e6:.0f} MB")

    def _safe(self, name: str) -> PurePosixPath:
        """The name as a path that stays below the folder."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise self._refused(name, "its path leaves the folder")
        return path

    def _refused(self, name: str, why: str) -> TrimtabError:
        hint = "it was not written by `trimtab backup`, or changed since: use another backup"
        return failure("backup-refused", f"the member {name!r} is refused: {why}", hint, str(self._path))


def damaged(path: Path, why: str) -> TrimtabError:
    hint = "it was cut off or changed; use another backup. Nothing was restored"
    return failure("backup-damaged", f"the backup is damaged: {why}", hint, str(path))


def newer(path: Path, why: str) -> TrimtabError:
    hint = "restore it with the version of Trimtab that wrote it, or newer"
    return failure("backup-newer", f"the backup was written by a newer Trimtab: {why}", hint, str(path))


def files_below(folder: Path) -> Iterator[Path]:
    """Every plain file and symbolic link below a folder, in no order; what vanishes meanwhile is left out."""
    waiting = [folder]
    while waiting:
        try:
            rows = list(waiting.pop().iterdir())
        except OSError:
            continue
        for row in rows:
            if row.is_dir() and not row.is_symlink():
                waiting.append(row)
            elif row.is_file() or row.is_symlink():
                yield row


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    if file is None:
        raise tarfile.ReadError(f"{info.name} has no content")
    return file


def _link_digest(target: str) -> str:
    return hashlib.sha256(b"link " + target.encode("utf-8", "surrogateescape")).hexdigest()
