"""Reading small files of a folder that somebody else has made."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from trimtab.core.errors import Problem
from trimtab.core.say import size

MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Codes:
    """What the problems of files of a kind are called."""

    missing: str
    encoding: str
    binary: str
    too_large: str


PROMPT = Codes("prompt-missing", "prompt-encoding", "prompt-binary", "prompt-too-large")
CONFIG = Codes(*("release-config",) * 4)
FLAGS = Codes(*("release-flags",) * 4)


class Refused(Exception):
    """Why a file is not what it must be."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Absent(Exception):
    """There is no such file."""


def read_text(folder: Path, path: str, codes: Codes) -> str:
    """The text of a file below the folder, exactly. Raises `Refused` and `Absent`."""
    content = _read(folder, path, codes)
    if b"\0" in content:
        raise Refused(Problem(codes.binary, "it has NUL bytes: that is no text", "name a text file", path))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"the byte 0x{content[error.start]:02X} is not UTF-8"
        raise Refused(Problem(codes.encoding, message, "save the file as UTF-8", f"{path}:{line}")) from None


def _read(folder: Path, path: str, codes: Codes) -> bytes:
    root = os.path.realpath(folder)
    full = os.path.join(root, path)
    if not os.path.lexists(full):
        raise Absent
    hint = "name the file itself, not a link, a folder or a device"
    if os.path.realpath(full) != full:
        raise Refused(Problem(codes.missing, "it is reached through a symbolic link", hint, path))
    try:
        handle = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(Problem(codes.missing, f"it cannot be read: {error.strerror}", hint, path)) from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise Refused(Problem(codes.missing, "it is no plain file", hint, path))
        if status.st_size > MOST_BYTES:
            message = f"it has {size(status.st_size)}, and at most {size(MOST_BYTES)} are allowed"
            raise Refused(Problem(codes.too_large, message, "split it, or keep large texts beside it", path))
        with open(handle, "rb", closefd=False) as file:
            return file.read(MOST_BYTES)
    finally:
        os.close(handle)
