"""The port `Clock`, moved by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools

_TURNS = 20
"""How often others get a turn when time has moved: enough for a chain of tasks to react and sleep again."""


class ManualClock:
    """Time stands still until it is told to move."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Until `advance` or `run_for` has moved time by this much; 0 only gives others a turn."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move time at once and wake all whose time has come; they run when the caller next waits."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)

    async def run_for(self, seconds: float) -> None:
        """Move time from sleeper to sleeper: each sees the time it asked for, also if it sleeps again on the way."""
        end = self._now + seconds
        await self._let_others_run()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.advance(self._sleepers[0][0] - self._now)
            await self._let_others_run()
        self.advance(end - self._now)
        await self._let_others_run()

    async def _let_others_run(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
