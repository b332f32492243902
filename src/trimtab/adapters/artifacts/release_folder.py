"""A release's files on disk, read-only, compared with what they should be to the last byte."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from trimtab.adapters.artifacts.blobs import Blobs, file_digest
from trimtab.core.model.release import digest_of
from trimtab.core.model.tree import TreeEntry

_MODES = {"644": 0o444, "755": 0o555}
_FOLDER_MODE = 0o555


def mend(folder: Path, entries: Sequence[TreeEntry], blobs: Blobs) -> bool:
    """Make the folder hold exactly `entries`; whether anything had to be done.

    What is wrong is replaced file by file, so that instances that run in the folder keep it. Raises `DamagedBlob`.
    """
    wanted = {entry.path: entry for entry in entries}
    folders = {"."} | {str(parent) for path in wanted for parent in PurePosixPath(path).parents}
    extra, good, closed = _compare(folder, wanted, folders)
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
            _write(folder / path, wanted[path], blobs)
    finally:
        for path in folders & _folders_in(folder):
            (folder / path).chmod(_FOLDER_MODE)
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


def _compare(folder: Path, wanted: dict[str, TreeEntry], folders: set[str]) -> tuple[list[str], set[str], set[str]]:
    """What does not belong there, the entries that are as they should be, and the folders that are read-only."""
    extra, good, closed = [], set(), set()
    for path, status in _walk(folder):
        if stat.S_ISDIR(status.st_mode):
            if path not in folders:
                extra.append(path)
            elif stat.S_IMODE(status.st_mode) == _FOLDER_MODE:
                closed.add(path)
        elif path not in wanted:
            extra.append(path)
        elif _is_good(folder / path, status, wanted[path]):
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


def _is_good(path: Path, status: os.stat_result, entry: TreeEntry) -> bool:
    if entry.mode == "link":
        return stat.S_ISLNK(status.st_mode) and digest_of(os.fsencode(os.readlink(path))) == entry.digest
    return (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == _MODES[entry.mode]
        and status.st_size == entry.size_bytes
        and file_digest(path) == entry.digest
    )


def _write(path: Path, entry: TreeEntry, blobs: Blobs) -> None:
    new = path.with_name(f".{path.name[:200]}.trimtab-new")
    new.unlink(missing_ok=True)
    if entry.mode == "link":
        new.symlink_to(os.fsdecode(blobs.read(entry.digest)))
    else:
        blobs.copy(entry.digest, new, _MODES[entry.mode])
    new.replace(path)
