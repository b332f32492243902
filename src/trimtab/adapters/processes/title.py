"""What `ps` shows as the command line of this process."""

from __future__ import annotations

import ctypes
import os

PADDING = " " * 512
"""An argument that makes room: a title replaces the command line in its place, and must fit into it."""

_ARG_START, _ARG_END = 45, 46
"""Their places in /proc/self/stat (48 and 49 in proc(5)) after the name, which may hold anything."""


def show(title: str) -> None:
    """Replace the command line; where the kernel does not say where it is, nothing is done.

    A byte that is not NUL at the very end makes the kernel show the text up to its first NUL, and nothing after it.
    """
    if not _PLACE:
        return
    begin, room = _PLACE
    text = os.fsencode(title)[: room - 2]
    ctypes.memmove(begin, text + bytes(room - 1 - len(text)) + b".", room)


def _place() -> tuple[int, int] | tuple[()]:
    """Where the command line is in memory, and how long."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        begin, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    except (OSError, ValueError, IndexError):
        return ()
    return (begin, end - begin) if 0 < begin < end - 2 else ()


_PLACE = _place()
"""It stays where it is, in forks too."""
