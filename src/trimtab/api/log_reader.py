"""Reading what a process wrote, chunk by chunk, from the oldest of its files to what it writes at the moment.

A log is one file or, of a process that runs for months, the newest few: ``log``, the older ``log.1``, and so on; these
are renamed while they are read. Memory is that of one chunk, whatever there is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 256 * 1024
_TRIES = 10


class LogReader:
    """The bytes of a log from its beginning, or from its last `tail` lines (0: all). Its calls block."""

    def __init__(self, path: Path, tail: int = 0) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.lines_before = 0
        """How many lines precede the first one, if that was asked for."""
        self._tail = tail

    def read(self, *, count_lines: bool = False) -> bytes:
        """The next chunk; empty when there is nothing more at the moment. `count_lines`: see `lines_before`."""
        if self._file is None and not self._begin(count_lines):
            return b""
        assert self._file is not None
        if chunk := self._file.read(CHUNK_BYTES):
            return chunk
        if self._is_current():
            return b""
        # Renamed: what was written before that is read first. Then it is the turn of the next newer one.
        if chunk := self._file.read(CHUNK_BYTES):
            return chunk
        return self._file.read(CHUNK_BYTES) if self._open_next() else b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self, count_lines: bool) -> bool:
        """Open the file in which reading begins, at its place. False: there is none yet."""
        if not self._open(newer_than=None):
            return False
        if self._tail:
            self._seek_tail(count_lines)
        return True

    def _seek_tail(self, count_lines: bool) -> None:
        missing = self._tail
        names = _parts(self._path)
        ends_with_break = True
        for number, name in enumerate(reversed(names)):
            try:
                file = name.open("rb")
            except FileNotFoundError:
                continue
            size = file.seek(0, os.SEEK_END)
            if number == 0 and size:
                file.seek(size - 1)
                ends_with_break = file.read(1) == b"\n"
            place, missing = _nth_last_line(file, size, missing + (number == 0 and ends_with_break))
            if missing == 0:
                self.close()
                self._file = file
                if count_lines:
                    self.lines_before = _breaks(file, place) + sum(map(_breaks_in, names[: len(names) - 1 - number]))
                file.seek(place)
                return
            file.close()

    def _is_current(self) -> bool:
        """Whether the open file is the one that is written to; one that was emptied is read from its beginning."""
        assert self._file is not None
        ours = os.fstat(self._file.fileno())
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return True
        if (current.st_dev, current.st_ino) != (ours.st_dev, ours.st_ino):
            return False
        if ours.st_size < self._file.tell():
            self._file.seek(0)
        return True

    def _open_next(self) -> bool:
        assert self._file is not None
        ours = os.fstat(self._file.fileno())
        return self._open(newer_than=(ours.st_dev, ours.st_ino))

    def _open(self, newer_than: tuple[int, int] | None) -> bool:
        """Open the next newer file; the oldest if that one is gone. Names may change hands in between."""
        for _ in range(_TRIES):
            known = [(name, identity) for name in _parts(self._path) if (identity := _identity(name)) is not None]
            identities = [identity for _, identity in known]
            place = identities.index(newer_than) + 1 if newer_than in identities else 0
            if place >= len(known):
                return False
            name, identity = known[place]
            try:
                file = name.open("rb")
            except FileNotFoundError:
                continue
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) == identity:
                self.close()
                self._file = file
                return True
            file.close()
        return False


def _parts(path: Path) -> list[Path]:
    """The files of a log, the oldest first."""
    parts = [path] if path.exists() else []
    while (older := path.with_name(f"{path.name}.{len(parts) or 1}")).exists():
        parts.append(older)
    return parts[::-1]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _nth_last_line(file: BinaryIO, end: int, breaks: int) -> tuple[int, int]:
    """Behind which byte the last so many line breaks begin, and how many are missing: then 0."""
    while end > 0:
        begin = max(0, end - CHUNK_BYTES)
        file.seek(begin)
        block = file.read(end - begin)
        here = block.count(b"\n")
        if here >= breaks:
            at = len(block)
            for _ in range(breaks):
                at = block.rindex(b"\n", 0, at)
            return begin + at + 1, 0
        breaks -= here
        end = begin
    return 0, breaks


def _breaks(file: BinaryIO, end: int) -> int:
    """The line breaks before a place."""
    file.seek(0)
    count = 0
    while end > 0 and (block := file.read(min(CHUNK_BYTES, end))):
        count += block.count(b"\n")
        end -= len(block)
    return count


def _breaks_in(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return _breaks(file, file.seek(0, os.SEEK_END))
    except FileNotFoundError:
        return 0
