"""A log that somebody else writes: read what is new, and rotate it when it has grown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from trimtab.core.errors import TrimtabError

_SLICE_BYTES = 64 * 1024
_ROTATE_BYTES = 32 * 1024 * 1024


class LogFile:
    """Follows a file from its end as it is now."""

    def __init__(self, path: Path, see: Callable[[list[bytes]], None], reopen: Callable[[], Awaitable[None]]) -> None:
        """`see` is given whole lines; `reopen` makes the writer open the file anew after it was renamed."""
        self._path = path
        self._see = see
        self._reopen = reopen
        self._file: BinaryIO | None = None
        self._rest = b""
        self._lock = asyncio.Lock()
        self._open(at_end=True)

    async def catch_up(self) -> None:
        """Read everything that is in the log by now, in slices short enough to let others run; rotate a big log."""
        async with self._lock:
            await self._read_to_end()
            if self._was_replaced():
                # The writer writes to the new file only after its last line to the old one.
                await self._read_to_end()
                self._open(at_end=False)
                await self._read_to_end()
            if self._file is not None and self._file.tell() > _ROTATE_BYTES:
                await self._rotate()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, *, at_end: bool) -> None:
        self.close()
        self._rest = b""
        with suppress(FileNotFoundError):
            self._file = self._path.open("rb")
            if at_end and self._file.seek(0, os.SEEK_END):
                self._file.seek(-1, os.SEEK_END)
                # In the middle of a line: a mark that no reader understands, so the rest of it is not counted.
                self._rest = b"" if self._file.read(1) == b"\n" else b"?"

    def _was_replaced(self) -> bool:
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(current, os.fstat(self._file.fileno()))

    async def _read_to_end(self) -> None:
        while self._file is not None and (chunk := self._file.read(_SLICE_BYTES)):
            lines = (self._rest + chunk).split(b"\n")
            self._rest = lines.pop()
            self._see(lines)
            await asyncio.sleep(0)

    async def _rotate(self) -> None:
        """One old file is kept. When the writer does not hear of it, it goes on writing to the renamed file, and so
        does this one go on reading it: the next time is early enough."""
        if self._path.exists():
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        with suppress(TrimtabError):
            await self._reopen()
