"""Time, as an argument."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The wall clock (seconds since the epoch, UTC) and waiting."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...
