"""The folder of one supervised process: what is in it, and the format that controller and supervisor share.

A supervisor imports this before it can start its process, so it uses `os` and nothing else. JSON would cost more than
all the rest; fields are written like ``/proc/PID/environ``: ``key=value`` with a NUL after each, keys may repeat.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # like typing.TYPE_CHECKING, whose import alone takes longer than reading this module
    from collections.abc import Iterable

SPEC = "spec"
"""What to run; written once, by the controller."""
STATE = "state"
"""What became of it; replaced by the supervisor at each change."""
LOCK = "lock"
"""Held exclusively for as long as the supervisor lives: it is alive if and only if nobody else can have this lock."""
EVENTS = "events"
"""A FIFO. The supervisor writes a byte after each change; its end reads as end of file."""
LOG = "log"
ERRORS = "supervisor.log"
"""What the supervisor itself had to complain about: empty unless something is very wrong."""


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Fields as bytes. Raises ValueError for a NUL, which neither an argument nor the environment can hold."""
    lines = [f"{key}={value}" for key, value in fields]
    if any("\0" in line for line in lines):
        raise ValueError("a NUL character cannot be passed to a process")
    return "".join(f"{line}\0" for line in lines).encode("utf-8", "surrogateescape")


def decode(content: bytes) -> list[tuple[str, str]]:
    """The fields of `encode`, in their order."""
    fields = []
    for line in content.decode("utf-8", "surrogateescape").split("\0"):
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


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
