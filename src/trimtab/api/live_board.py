"""The board that the API answers from: opened from a snapshot, kept up to date, and kept as a snapshot now and then.

A snapshot is nothing but time saved: one that is missing, damaged or of another version is passed over, and the whole
log is folded again.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import zlib
from functools import cache

from trimtab.codec import decode_parts, encode_parts, shape
from trimtab.core.errors import TrimtabError
from trimtab.ports.clock import Clock
from trimtab.ports.store import Store
from trimtab.views.board import FOLDS, PARTS, Board, BoardPart

NAME = "board"
EVERY = 20_000
"""After so many new facts a new snapshot is kept."""
LOOK_S = 30.0
PAGE = 2000

log = logging.getLogger(__name__)


class LiveBoard:
    """The board of a store, with every fact recorded so far."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._board: Board | None = None
        self._kept = 0

    def now(self) -> Board:
        """Up to date."""
        board = self._opened()
        while self._read(board):
            pass
        return board

    async def keep(self, clock: Clock) -> None:
        """Open the board in small steps, and keep a snapshot whenever enough has happened, until cancelled."""
        while True:
            try:
                await self._catch_up(clock)
                await self._keep_if_due()
            except TrimtabError as error:
                log.warning("no snapshot of the board was kept: %s", error)
            await clock.sleep(LOOK_S)

    def _opened(self) -> Board:
        if self._board is None:
            self._board = restore(self._store)
            self._kept = self._board.seq
        return self._board

    def _read(self, board: Board) -> bool:
        """One page of facts; whether there may be more."""
        facts = self._store.facts(after=board.seq, limit=PAGE)
        board.apply(facts)
        return len(facts) == PAGE

    async def _catch_up(self, clock: Clock) -> None:
        board = self._opened()
        while self._read(board):
            await clock.sleep(0.0)  # others have a turn

    async def _keep_if_due(self) -> None:
        board = self._opened()
        if board.seq - self._kept >= EVERY:
            seq, parts = board.seq, board.parts()
            self._store.keep_snapshot(NAME, seq, await asyncio.to_thread(pack, parts))
            self._kept = seq


def restore(store: Store) -> Board:
    """The board as the newest snapshot has it; an empty one if there is none that can be used."""
    snapshot = store.snapshot(NAME)
    if snapshot is None:
        return Board()
    try:
        return Board.of(snapshot.seq, unpack(snapshot.body))
    except (TrimtabError, ValueError, zlib.error) as error:
        log.info("the board is folded anew: its snapshot is of another version or damaged (%s)", error)
        return Board()


def pack(parts: list[BoardPart]) -> str:
    """Parts of a board as text, with the version of the program's views."""
    content = zlib.compress(encode_parts(parts).encode(), level=1)
    return f"{version()}\n{base64.b85encode(content).decode()}"


def unpack(text: str) -> list[object]:
    """What `pack` was given. Raises ValueError, zlib.error or TrimtabError when it is of another version or damaged."""
    head, _, content = text.partition("\n")
    if head != version():
        raise ValueError(f"{head[:40]} is not {version()}")
    return list(decode_parts(PARTS, zlib.decompress(base64.b85decode(content)).decode()))


@cache
def version() -> str:
    """Of the folds and of the views they fold to."""
    return f"board {FOLDS} {shape(PARTS)}"
