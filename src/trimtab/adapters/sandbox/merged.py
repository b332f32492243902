"""Several folders as one, read from outside as the kernel's overlay shows it inside; no link is ever followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = os.makedev(0, 0)
_MOST_LINKS = 40

Parts = tuple[str, ...]


class ThroughLink(Exception):
    """A folder on the way is a link. `path`: which one."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Entry(NamedTuple):
    """What a folder has under a name. `holder`: the open folder that it is in."""

    holder: int
    name: str
    status: os.stat_result


class Folder:
    """One folder of the merged view: the open folders that it is made of, the topmost first."""

    def __init__(self, handles: list[int], overlay: bool) -> None:
        self._handles, self._overlay = handles, overlay

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            os.close(handle)

    def find(self, name: str) -> Entry | None:
        """The topmost of that name; None when there is none, or it was removed."""
        for handle in self._handles:
            status = _status(handle, name)
            if status is not None:
                return None if self._overlay and _hides(handle, name, status) else Entry(handle, name, status)
        return None

    def entries(self) -> Iterator[Entry]:
        """All of them, sorted by name."""
        for name in sorted({name for handle in self._handles for name in os.listdir(handle)}):
            if (entry := self.find(name)) is not None:
                yield entry

    def enter(self, name: str) -> Folder | None:
        """The folder of that name; None when there is none."""
        handles: list[int] = []
        inner = Folder(handles, self._overlay)
        try:
            for handle in self._handles:
                status = _status(handle, name)
                if status is None:
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    break  # a file, or the note that it was removed: what lies below does not show
                handles.append(os.open(name, _FOLDER, dir_fd=handle))
                if self._overlay and _has_attribute(f"/proc/self/fd/{handles[-1]}", b"user.overlay.opaque"):
                    break
        except OSError:
            inner.__exit__(None, None, None)
            raise
        return inner if handles else None


class Merged:
    """The view of `layers`, the last on top. `overlay`: whether notes of the kernel's overlay (removed; replaced as a
    whole) are to be understood; in plain folders they are nothing of the kind."""

    def __init__(self, layers: Sequence[Path], *, overlay: bool) -> None:
        self._layers, self._overlay = layers, overlay

    @contextmanager
    def folder(self, parts: Parts) -> Iterator[Folder | None]:
        """The folder of that path, open. Raises `ThroughLink` and OSError."""
        current = self._top()
        for place, name in enumerate(parts):
            with current:
                inner = _entered(current, parts[:place], name)
            if inner is None:
                yield None
                return
            current = inner
        with current:
            yield current

    @contextmanager
    def inner(self, folder: Folder | None, parts: Parts, name: str) -> Iterator[Folder | None]:
        """The folder of that name in one that is open, whose path is `parts`. Raises as `folder` does."""
        entered = None if folder is None else _entered(folder, parts, name)
        if entered is None:
            yield None
            return
        with entered:
            yield entered

    def leads_out(self, parts: Parts, target: str) -> bool:
        """Whether a link with this target, in that folder, leads out of the view. Links on its way are followed, here
        in mind only."""
        if target.startswith("/"):
            return True
        place, words, followed = list(parts), target.split("/")[::-1], 0
        while words:
            word = words.pop()
            if word == "..":
                if not place:
                    return True
                place.pop()
            elif word not in ("", "."):
                link = self._link(tuple(place), word)
                if link is None:
                    place.append(word)
                    continue
                followed += 1
                if link.startswith("/"):
                    return True
                if followed > _MOST_LINKS:
                    return False  # it leads round in circles, and so nowhere
                words += link.split("/")[::-1]
        return False

    def _link(self, parts: Parts, name: str) -> str | None:
        with self.folder(parts) as folder:
            entry = folder.find(name) if folder is not None else None
            if entry is None or not stat.S_ISLNK(entry.status.st_mode):
                return None
            return os.readlink(name, dir_fd=entry.holder)

    def _top(self) -> Folder:
        return Folder([os.open(layer, _FOLDER) for layer in reversed(self._layers)], self._overlay)


def _entered(folder: Folder, parts: Parts, name: str) -> Folder | None:
    entry = folder.find(name)
    if entry is not None and stat.S_ISLNK(entry.status.st_mode):
        raise ThroughLink("/".join((*parts, name)))
    return None if entry is None else folder.enter(name)


def _status(handle: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=handle, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _hides(handle: int, name: str, status: os.stat_result) -> bool:
    """Whether it says that what lies below was removed."""
    if stat.S_ISCHR(status.st_mode):
        return status.st_rdev == _WHITEOUT
    is_empty_file = stat.S_ISREG(status.st_mode) and status.st_size == 0
    return is_empty_file and _has_attribute(f"/proc/self/fd/{handle}/{name}", b"user.overlay.whiteout")


def _has_attribute(path: str, name: bytes) -> bool:
    try:
        # Of a folder by its descriptor, which is a link in /proc; of a file by its name, which is none.
        value = os.getxattr(path, name, follow_symlinks=name == b"user.overlay.opaque")
    except OSError:
        return False
    return name != b"user.overlay.opaque" or value == b"y"
