"""A tree's files on disk, compared with what they should be to the last byte; a release's are read-only."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trimtab.adapters.artifacts.blobs import Blobs, draft_of, file_digest
from trimtab.core.model.release import digest_of
from trimtab.core.model.reproducible import FILE_TIME_S
from trimtab.core.model.tree import TreeEntry


@dataclass(frozen=True, slots=True)
class Modes:
    """The permissions of a tree's files, executable or not, and of its folders."""

    plain: int
    executable: int
    folder: int

    def of(self, entry: TreeEntry) -> int:
        return self.executable if entry.mode == "755" else self.plain


READ_ONLY = Modes(0o444, 0o555, 0o555)
WRITABLE = Modes(0o644, 0o755, 0o755)


def mend(folder: Path, entries: Sequence[TreeEntry], blobs: Blobs, modes: Modes = READ_ONLY) -> bool:
    """Make the folder hold exactly `entries`; whether anything had to be done.

    What is wrong is replaced file by file, so that instances that run in the folder keep it. Raises `DamagedBlob`.
    """
    wanted = {entry.path: entry for entry in entries}
    folders = {"."} | {str(parent) for path in wanted for parent in PurePosixPath(path).parents}
    extra, good, closed = _compare(folder, wanted, folders, modes, blobs)
    if not extra and len(good) == len(wanted) and closed == folders:
        return False
    for path in sorted(folders & _folders_in(folder)):
        (folder / path).chmod(0o755)
    try:
        for path in extra:
            remove(folder / path)
        for path in sorted(folders):
            (folder / path).mkdir(exist_ok=True)
        for path in sorted(wanted.keys() - good):
            _write(folder / path, wanted[path], blobs, modes)
    finally:
        for path in folders & _folders_in(folder):
            (folder / path).chmod(modes.folder)
            os.utime(folder / path, (FILE_TIME_S, FILE_TIME_S))
    return True


def remove(path: Path) -> int:
    """Remove a file or a whole folder, read-only or not; how many bytes it had."""
    if path.is_symlink() or not path.is_dir():
        size_bytes = path.lstat().st_size
        path.unlink()
        return size_bytes
    size_bytes = 0
    for inner, _, files in os.walk(path):
        os.chmod(inner, 0o755)
        size_bytes += sum(os.lstat(os.path.join(inner, name)).st_size for name in files)
    shutil.rmtree(path)
    return size_bytes


def _compare(
    folder: Path, wanted: dict[str, TreeEntry], folders: set[str], modes: Modes, blobs: Blobs
) -> tuple[list[str], set[str], set[str]]:
    """What does not belong there, the entries that are as they should be, and the folders whose permissions are."""
    extra, good, closed = [], set(), set()
    for path, status in _walk(folder):
        if stat.S_ISDIR(status.st_mode):
            if path not in folders:
                extra.append(path)
            elif stat.S_IMODE(status.st_mode) == modes.folder:
                closed.add(path)
        elif path not in wanted:
            extra.append(path)
        elif _is_good(folder / path, status, wanted[path], modes, blobs):
            good.add(path)
    # Only the outermost: what is in a folder goes with it.
    return [path for path in extra if str(PurePosixPath(path).parent) in folders], good, closed


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The folder itself as `.`, and everything below it."""
    yield ".", folder.lstat()
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as rows:
            for row in rows:
                path = f"{prefix}{row.name}"
                yield path, row.stat(follow_symlinks=False)
                if row.is_dir(follow_symlinks=False):
                    waiting.append(f"{path}/")


def _folders_in(folder: Path) -> set[str]:
    return {path for path, status in _walk(folder) if stat.S_ISDIR(status.st_mode)}


def _is_good(path: Path, status: os.stat_result, entry: TreeEntry, modes: Modes, blobs: Blobs) -> bool:
    if entry.mode == "link":
        return stat.S_ISLNK(status.st_mode) and digest_of(os.fsencode(os.readlink(path))) == entry.digest
    return (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == modes.of(entry)
        and status.st_size == entry.size_bytes
        and (blobs.is_link(entry.digest, status) or file_digest(path) == entry.digest)
    )


def _write(path: Path, entry: TreeEntry, blobs: Blobs, modes: Modes) -> None:
    if entry.mode != "link":
        blobs.copy(entry.digest, path, modes.of(entry))
        return
    new = draft_of(path)
    new.symlink_to(os.fsdecode(blobs.read(entry.digest)))
    new.replace(path)
