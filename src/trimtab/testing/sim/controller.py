"""A replica of the controller: its machine, which is started again after a crash, and one life of its program."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from trimtab.core.errors import TrimtabError
from trimtab.engine.loop import Engine
from trimtab.ports.clock import Clock
from trimtab.testing.sim.history import History
from trimtab.testing.sim.links import CALM, IN_FLIGHT_S, Crash, Weather

Start = Callable[["Life"], Engine]


@dataclass(slots=True)
class Machine:
    """Where a replica runs. Its clock may be wrong (`off_s`), its ways cut off, its program paused."""

    name: str
    rng: Random
    clock: Clock
    history: History
    start: Start
    weather: Weather = CALM
    off_s: float = 0.0
    dozes_before: tuple[str, str] | None = None
    cut_off: set[str] = field(default_factory=set)
    """Ports that cannot be reached; ``store`` and ``space`` (nothing can be written) too."""
    life: Life | None = None
    lives: int = 0
    paused_until: float = 0.0
    works: list[asyncio.Task[None]] = field(default_factory=list)
    """What is on its way on the network."""

    async def run(self) -> None:
        """Start the program again whenever it has died."""
        while True:
            self.lives += 1
            self.life = Life(self, self.lives)
            await self.life.run(self.start)
            away_s = IN_FLIGHT_S + self.rng.choice([0.1, 1.0, 5.0, 15.0] if self.weather.total else [0.1])
            self.history.note(self.name, f"starts again in {away_s:g} s, with nothing in its memory")
            await asyncio.sleep(away_s)

    def kill(self) -> None:
        """Right now, wherever it is."""
        if self.life is not None and self.life.alive:
            self.life.end("somebody killed it")


class Life:
    """One life of a replica's program: the `Sender` of its links, and its `Clock`."""

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine, self.number = machine, number
        self.alive = True
        self._over = asyncio.Event()
        self.name, self.rng = machine.name, machine.rng

    @property
    def weather(self) -> Weather:
        return self.machine.weather

    @property
    def dozes_before(self) -> tuple[str, str] | None:
        return self.machine.dozes_before

    @property
    def cut_off(self) -> set[str]:
        return self.machine.cut_off

    async def run(self, start: Start) -> None:
        task = asyncio.create_task(start(self).run())
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait((task, over), return_when=asyncio.FIRST_COMPLETED)
        if self.alive:
            self.machine.history.note(self.name, f"its loop ended by itself: {task.exception()!r}")
            self.machine.history.coverage["controller: fell"] += 1
        self.alive = False
        over.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Crash, TrimtabError):
            await task

    # --- as the clock ---

    def now(self) -> float:
        self.check_alive()
        return self.machine.clock.now() + self.machine.off_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.turn()

    # --- as the sender of its links ---

    async def turn(self) -> None:
        self.check_alive()
        while self.machine.clock.now() < self.machine.paused_until:
            await asyncio.sleep(self.machine.paused_until - self.machine.clock.now())
            self.check_alive()

    def check_alive(self) -> None:
        if not self.alive:
            raise Crash

    def end(self, why: str) -> None:
        self.alive = False
        self._over.set()
        self.machine.history.note(self.name, f"dies: {why}")

    def die(self, why: str) -> None:
        self.end(why)
        raise Crash

    def pause(self, seconds: float, why: str) -> None:
        self.machine.paused_until = self.machine.clock.now() + seconds
        self.machine.history.note(self.name, f"stands still for {seconds:g} s, {why}")

    def outlive(self, work: Awaitable[None]) -> None:
        self.machine.works.append(asyncio.ensure_future(_as_task(work)))


async def _as_task(work: Awaitable[Any]) -> None:
    await work
