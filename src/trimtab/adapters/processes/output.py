"""The log of a supervised process: bytes as they came, all of them or, in files that rotate, the newest of them."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Log(Protocol):
        """Where output goes."""

        def write(self, data: bytes) -> None:
            """Append; without data: try again what could not be written."""
            ...

        def flush(self) -> None:
            """Nothing follows for now."""
            ...

        def is_waiting(self) -> bool:
            """Whether there is something that could not be written yet: the process has to wait, too."""
            ...

        def is_lost(self) -> bool:
            """Whether it waits no longer, and output was lost."""
            ...

        def last_line(self) -> str:
            """See `last_line_of`."""
            ...


PATIENCE_S = 600.0
"""How long a process waits for space for its output, if none of it may be lost, before it is ended."""
_TAIL_BYTES = 2048
_LINE_CHARACTERS = 300
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


def open_log(path: str, max_bytes: int, files: int) -> Log:
    """`files`: 0 for a log of which nothing ever goes."""
    return RotatedLog(path, max_bytes, files) if files else WholeLog(path)


class WholeLog:
    """One file that only grows. Nobody who reads it need know more than how far they were."""

    def __init__(self, path: str, now: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = os.open(path, _FLAGS, 0o600)
        self._now = now
        self._tail = b""
        self._unwritten = b""
        self._waits_since: float | None = None
        self._lost = False

    def write(self, data: bytes) -> None:
        self._tail = (self._tail + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        rest = self._unwritten + data if self._unwritten else data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self._waits_since = None
        except OSError:
            self._waits_since = self._now() if self._waits_since is None else self._waits_since
            if self._lost or self._now() - self._waits_since >= PATIENCE_S:
                self._lost, rest = True, b""
        self._unwritten = rest

    def flush(self) -> None:
        """Nothing is kept back."""

    def is_waiting(self) -> bool:
        return bool(self._unwritten)

    def is_lost(self) -> bool:
        return self._lost

    def last_line(self) -> str:
        return last_line_of(self._tail)


class RotatedLog:
    """At most `files` files (``path``, ``path.1`` the next older, ...) of `max_bytes` each, for what runs for months.

    Such a process must not wait for its log: what cannot be written is dropped, and how much it was is said when there
    is space again.
    """

    def __init__(self, path: str, max_bytes: int, files: int) -> None:
        self._path = path
        self._max_bytes = max(1, max_bytes)
        self._files = max(1, files)
        self._tail = b""
        self._dropped_bytes = 0
        self._open()

    def write(self, data: bytes) -> None:
        self._tail = (self._tail + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        if self._dropped_bytes and data:
            note = b"\n[trimtab: %d bytes of output were lost: the disk was full]\n" % self._dropped_bytes
            if self._append(note) == len(note):
                self._dropped_bytes = 0
        self._dropped_bytes += len(data) - self._append(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def is_waiting(self) -> bool:
        return False

    def is_lost(self) -> bool:
        return False

    def last_line(self) -> str:
        return last_line_of(self._tail)

    def _append(self, data: bytes) -> int:
        """How much could be written."""
        written = 0
        try:
            while written < len(data):
                room = self._max_bytes - self._size
                piece = data[written : written + room] if room > 0 else b""
                if len(data) - written > room:
                    piece = piece[: self._cut(piece)]
                if piece:
                    count = os.write(self._descriptor, piece)
                    self._size += count
                    written += count
                else:
                    self._rotate()
        except OSError:
            return written
        return written

    def _cut(self, piece: bytes) -> int:
        """How much of what fits is taken: whole lines, unless a line is longer than a whole file."""
        whole_lines = piece.rfind(b"\n") + 1
        return whole_lines if whole_lines or self._size else len(piece)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, _FLAGS, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        if self._files == 1:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            return
        for number in range(self._files - 2, -1, -1):
            name = f"{self._path}.{number}" if number else self._path
            if os.path.exists(name):
                os.replace(name, f"{self._path}.{number + 1}")
        older = self._descriptor
        self._open()
        os.close(older)


def last_line_of(output: bytes) -> str:
    """The last line that says something, fit to be shown; empty when there is none."""
    for line in reversed(output[-_TAIL_BYTES:].decode("utf-8", "replace").splitlines()):
        text = "".join(character if character.isprintable() else " " for character in line).strip()
        if text:
            return text[:_LINE_CHARACTERS]
    return ""
