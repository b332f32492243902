"""An event loop on virtual time: when everybody sleeps, time jumps to whoever wakes first."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MOST_TURNS = 20_000
"""So often may tasks run without any time passing."""

EPOCH = 1_700_000_000.0
"""The wall clock when a simulation begins (seconds since 1970)."""


class Stuck(Exception):
    """Everybody waits for something that can never happen."""


class _Jumping(selectors.SelectSelector):
    """Waits for nothing from outside; instead of waiting it moves time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._turns = 0
        self.busy = False

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("no task can ever run again")
        self._turns = 0 if timeout > 0 else self._turns + 1
        if self._turns > MOST_TURNS:
            self.busy, timeout = True, 0.01  # let it go on, so that it can be told
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Threads would bring chance into it: what is given to an executor is done at once."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self.set_exception_handler(lambda _loop, _context: None)  # tasks of controllers that died

    def time(self) -> float:
        return self._jumping.now

    @property
    def was_busy(self) -> bool:
        """Whether tasks ever ran again and again while time stood still."""
        return self._jumping.busy

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, however long it says that it takes."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class TrueClock:
    """The port `Clock` without any fault."""

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
