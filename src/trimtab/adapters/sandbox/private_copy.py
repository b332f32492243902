"""The layers of a workspace as one folder of its own, where the kernel allows no overlay."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from trimtab.adapters.sandbox.clone import clone
from trimtab.adapters.sandbox.removal import remove


class PrivateCopy:
    """Copies layer after layer to the new folder `into`. No link is followed: what a layer names lies where it says,
    whatever the layers before put there."""

    def __init__(self, into: Path, trash: Path) -> None:
        self._into, self._trash = into, trash
        self._folders: dict[str, os.stat_result] = {}
        into.mkdir(mode=0o755)

    def lay(self, layers: Sequence[Path]) -> None:
        """Raises OSError."""
        for layer in layers:
            pending = [""]
            while pending:
                pending += self._lay_folder(str(layer), pending.pop())
        # Last: nothing could be written into a folder that is read-only.
        for path, status in reversed(self._folders.items()):
            os.chmod(path, stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _lay_folder(self, layer: str, inner: str) -> list[str]:
        """Copy what is in one folder of a layer; the folders in it that are still to be copied."""
        folders = []
        with os.scandir(os.path.join(layer, inner)) as entries:
            for entry in entries:
                path = os.path.join(inner, entry.name)
                target = self._into / path
                if entry.is_dir(follow_symlinks=False):
                    self._make_way(target, for_folder=True)
                    target.mkdir(mode=0o755, exist_ok=True)
                    self._folders[str(target)] = entry.stat(follow_symlinks=False)
                    folders.append(path)
                else:
                    self._make_way(target, for_folder=False)
                    _copy_file(entry, target)
        return folders

    def _make_way(self, target: Path, *, for_folder: bool) -> None:
        """Remove what an earlier layer has there, unless it is a folder for a folder."""
        try:
            is_folder = stat.S_ISDIR(target.lstat().st_mode)
        except FileNotFoundError:
            return
        if is_folder and for_folder:
            return
        if is_folder:
            self._folders = {path: each for path, each in self._folders.items() if not _is_in(path, str(target))}
        remove(target, self._trash)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _copy_file(entry: os.DirEntry[str], target: Path) -> None:
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        target.symlink_to(os.readlink(entry.path))
        return
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{entry.path} is neither a file, a folder nor a link")
    source = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        write_copy(source, status, target, stat.S_IMODE(status.st_mode) & 0o777)
    finally:
        os.close(source)


def write_copy(source: int, status: os.stat_result, target: Path, mode: int) -> None:
    """A new file with the bytes and the time of an open one."""
    made = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        clone(source, made, status.st_size)
        os.fchmod(made, mode)
        os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(made)
