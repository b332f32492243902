"""The folder of one supervised process: what is in it, and the format that controller and supervisor share.

A supervisor imports this before it can start its process, so it uses `os` and nothing else. JSON would cost more than
all the rest; fields are written like ``/proc/PID/environ``: ``key=value`` with a NUL after each, keys may repeat. A
further NUL ends them where others may follow: of those that are whole, the last ones count.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # like typing.TYPE_CHECKING, whose import alone takes longer than reading this module
    from collections.abc import Iterable

SPEC = "spec"
"""What to run; written once, by the controller."""
STATE = "state"
"""What became of it; the supervisor appends to it at each change."""
LOCK = "lock"
"""Held exclusively for as long as the supervisor lives: it is alive if and only if nobody else can have this lock."""
EVENTS = "events"
"""A FIFO. The supervisor writes a byte after each change; its end reads as end of file."""
LOG = "log"
ERRORS = "supervisor.log"
"""What the supervisor itself had to complain about: empty unless something is very wrong."""

_END = b"\0\0"
_LONGEST_JOURNAL_BYTES = 64 * 1024


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Fields as bytes. Raises ValueError for a NUL, which neither an argument nor the environment can hold."""
    lines = [f"{key}={value}" for key, value in fields]
    if any("\0" in line for line in lines):
        raise ValueError("a NUL character cannot be passed to a process")
    return "".join(f"{line}\0" for line in lines).encode("utf-8", "surrogateescape")


def decode(content: bytes) -> list[tuple[str, str]]:
    """The fields of `encode`, in their order; the last that were appended, where there are several times all."""
    last = content.rpartition(_END)[0].rpartition(_END)[2]
    fields = []
    for line in (last or content).decode("utf-8", "surrogateescape").split("\0"):
        key, separator, value = line.partition("=")
        if separator:
            fields.append((key, value))
    return fields


def read_fields(path: str) -> list[tuple[str, str]] | None:
    """The fields in a file; None when there is no such file."""
    try:
        with open(path, "rb") as file:
            return decode(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_fields(path: str, fields: Iterable[tuple[str, str]], *, durable: bool = False) -> None:
    """Replace a file of fields, all or nothing."""
    write(path, encode(fields), durable=durable)


def write(path: str, content: bytes, *, durable: bool = False) -> None:
    """Replace a file, all or nothing; `durable`: it is still so after a power cut. Only its owner may read it."""
    draft = path + ".new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, path)
    if durable:
        _sync_folder(os.path.dirname(path))


class Journal:
    """A file of fields that are replaced often: the new ones are appended in one write.

    Creating and renaming a file each time would be most of what a short step costs: a file system that has just seen
    many files go searches long for a place for a new one.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0

    def write(self, fields: Iterable[tuple[str, str]], *, durable: bool = False) -> None:
        """All or nothing. Raises OSError; ValueError for a NUL."""
        content = encode(fields) + _END[:1]
        if self._size + len(content) > _LONGEST_JOURNAL_BYTES:
            self._begin_anew(content)
        elif (written := os.write(self._descriptor, content)) < len(content):
            os.ftruncate(self._descriptor, self._size)
            raise OSError(28, os.strerror(28))  # ENOSPC: only a full disk takes a part
        else:
            self._size += written
        if durable:
            os.fsync(self._descriptor)
            _sync_folder(os.path.dirname(self._path))

    def _begin_anew(self, content: bytes) -> None:
        write(self._path, content)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.close(self._descriptor)
        self._descriptor, self._size = descriptor, len(content)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
