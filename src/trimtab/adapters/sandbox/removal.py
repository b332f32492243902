"""Removing what hostile steps leave behind: folders without permissions, and nested deeper than any path can say."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def remove(path: Path, trash: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing when there is none. At once it is out of the way, in
    `trash` on the same disk; what an interruption leaves there, `empty` removes. Nobody may be at work in it."""
    try:
        _let_in(str(path))
        trash.mkdir(mode=0o700, parents=True, exist_ok=True)
        heap = tempfile.mkdtemp(dir=trash)
        os.rename(path, os.path.join(heap, "top"))
    except FileNotFoundError:
        return
    _remove_heap(heap)


def empty(trash: Path) -> None:
    """Remove what is in the trash."""
    for heap in os.listdir(trash) if trash.is_dir() else ():
        _remove_heap(str(trash / heap))


def _remove_heap(heap: str) -> None:
    """Every folder is moved to the top before it is looked at: so nothing is ever deep, and no path long."""
    number = 0
    pending = os.listdir(heap)
    while pending:
        folder = os.path.join(heap, pending.pop())
        if not _let_in(folder):
            os.unlink(folder)
            continue
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            inner = os.path.join(folder, name)
            if not is_folder:
                os.unlink(inner)
                continue
            # To be moved, a folder must be writable itself: its `..` changes.
            _let_in(inner)
            while os.path.lexists(os.path.join(heap, str(number))):
                number += 1
            os.rename(inner, os.path.join(heap, str(number)))
            pending.append(str(number))
        os.rmdir(folder)
    os.rmdir(heap)


def _let_in(path: str) -> bool:
    """Whether it is a folder; if so, its owner may do everything in it from now on."""
    mode = os.lstat(path).st_mode
    if not stat.S_ISDIR(mode):
        return False
    if mode & 0o700 != 0o700:
        os.chmod(path, 0o700)
    return True
