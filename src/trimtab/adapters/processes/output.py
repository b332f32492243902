"""The log of a supervised process: bytes as they came, in files that never grow beyond a bound."""

from __future__ import annotations

import os

_TAIL_BYTES = 2048
_LINE_CHARACTERS = 300


class RotatedLog:
    """Appends to `path`; at most `files` files (``path``, ``path.1`` the next older, ...) of `max_bytes` each."""

    def __init__(self, path: str, max_bytes: int, files: int) -> None:
        self._path = path
        self._max_bytes = max(1, max_bytes)
        self._files = max(1, files)
        self._tail = b""
        self._open()

    def write(self, data: bytes) -> None:
        """Append. What cannot be written (disk full) is dropped: the process must not wait for its log."""
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        try:
            while data:
                room = self._max_bytes - self._size
                if room <= 0:
                    self._rotate()
                    continue
                piece = data if len(data) <= room else data[: self._cut(data, room)]
                if piece:
                    self._size += os.write(self._descriptor, piece)
                    data = data[len(piece) :]
                else:
                    self._rotate()
        except OSError:
            return

    def last_line(self) -> str:
        """See `last_line_of`."""
        return last_line_of(self._tail)

    def _cut(self, data: bytes, room: int) -> int:
        """How much of `data` goes into `room`: whole lines, unless a line is longer than a whole file."""
        whole_lines = data.rfind(b"\n", 0, room) + 1
        return whole_lines if whole_lines or self._size else room

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
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
