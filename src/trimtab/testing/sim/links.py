"""The ways from a controller to its ports, on which calls are lost, delayed, doubled, or the last thing it ever did."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from trimtab.core.errors import TrimtabError, failure
from trimtab.testing.sim.history import History

IN_FLIGHT_S = 2.0
"""The longest that an instruction outlives the controller that sent it. Its successor under the same name starts
later; one under another name may not, and then the fence tells them apart."""

DOZES = 0.25

INSTRUCTIONS: Mapping[str, frozenset[str]] = {
    "gateway": frozenset({"apply", "lease", "forget", "lead"}),
    "runtime": frozenset({"ensure", "stop"}),
    "state repository": frozenset({"write"}),
    "processes": frozenset({"start", "stop"}),
}
_WRITES = frozenset({"append", "claim", "commit", "done", "postpone", "release_leases", "look_again", "check_in"})


class Crash(BaseException):
    """The controller's process is gone; nothing of it runs any more."""


class Sender(Protocol):
    """The controller at this end of the link."""

    @property
    def name(self) -> str: ...

    @property
    def rng(self) -> Random: ...

    @property
    def weather(self) -> Weather: ...

    @property
    def cut_off(self) -> set[str]: ...

    @property
    def dozes_before(self) -> tuple[str, str] | None:
        """The port and the method before whose calls the controller often stands still: where zombies come from."""
        ...

    async def turn(self) -> None:
        """Waits while the controller is paused; raises Crash when it is dead."""
        ...

    def check_alive(self) -> None: ...

    def die(self, why: str) -> None: ...

    def pause(self, seconds: float, why: str) -> None: ...

    def outlive(self, work: Awaitable[None]) -> None:
        """Carried out by the network, whatever becomes of the controller."""
        ...


@dataclass(frozen=True, slots=True)
class Weather:
    """How likely each mishap is, for one call. Read calls know only `slow`, `lost`, `crash` and `pause`."""

    slow: float = 0.0
    """It takes up to five seconds."""
    lost: float = 0.0
    """It is not carried out, and there is no answer."""
    answer_lost: float = 0.0
    """It is carried out, and there is no answer."""
    twice: float = 0.0
    """It is carried out two times."""
    crash: float = 0.0
    """The controller dies just before, just after, or with the call on its way."""
    pause: float = 0.0
    """The controller stands still, just before or just after, and wakes as a zombie."""

    @property
    def total(self) -> float:
        return self.slow + self.lost + self.answer_lost + self.twice + self.crash + self.pause

    def pick(self, rng: Random) -> str | None:
        """What befalls the next call."""
        drawn = rng.random()
        if drawn >= self.total:
            return None
        for kind in ("slow", "lost", "answer_lost", "twice", "crash", "pause"):
            drawn -= getattr(self, kind)
            if drawn < 0:
                return kind
        return None


CALM = Weather()


def no_answer(port: str) -> TrimtabError:
    return failure("no-answer", f"the {port} does not answer", "it is tried again")


class Link:
    """One controller's way to one port: looks like the port, and is subject to the weather."""

    def __init__(
        self, sender: Sender, name: str, port: Any, history: History, lands: Callable[[], object] | None = None
    ) -> None:
        """`lands`: an instruction that was given up arrives late all the same, if this has not changed meanwhile."""
        self._sender, self._name, self._port, self._history = sender, name, port, history
        self._lands = lands

    def __getattr__(self, method: str) -> Any:
        target = getattr(self._port, method)
        if not inspect.iscoroutinefunction(target):
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._carry(method, lambda: target(*args, **kwargs))

        setattr(self, method, call)
        return call

    async def _carry(self, method: str, do: Callable[[], Awaitable[Any]]) -> Any:
        sender = self._sender
        await sender.turn()
        if self._name in sender.cut_off:
            await asyncio.sleep(0.5)
            raise no_answer(self._name)
        fate = sender.weather.pick(sender.rng) if sender.weather.total else None
        if fate is None:
            await self._doze(method)
            return await do()
        instruction = method in INSTRUCTIONS.get(self._name, ())
        if fate in ("answer_lost", "twice") and not instruction:
            return await do()
        self._history.fault(f"{fate.replace('_', ' ')}: {self._name}", sender.name, f"{method}")
        match fate:
            case "slow":
                return await self._slow(do)
            case "answer_lost":
                await self._answer_lost(do)
            case "twice":
                await do()
                return await do()
            case "crash":
                await self._crash(do, instruction)
            case "pause":
                return await self._pause(do)
        await asyncio.sleep(sender.rng.choice([0.0, 1.0]))
        raise no_answer(self._name)

    async def _doze(self, method: str) -> None:
        sender = self._sender
        if sender.dozes_before == (self._name, method) and sender.rng.random() < DOZES:
            self._history.fault(f"dozes: {self._name}", sender.name, method)
            sender.pause(sender.rng.choice([8.0, 12.0, 20.0]), f"before {method}")
            await sender.turn()

    async def _slow(self, do: Callable[[], Awaitable[Any]]) -> Any:
        before, after = (self._sender.rng.choice([0.0, 0.05, 0.5, 2.0, 5.0]) for _ in range(2))
        await asyncio.sleep(before)
        answer = await do()
        await asyncio.sleep(after)
        await self._sender.turn()
        return answer

    async def _answer_lost(self, do: Callable[[], Awaitable[Any]]) -> None:
        if self._lands is not None and self._sender.rng.random() < 0.5:
            self._sender.outlive(_late(do, self._sender.rng.uniform(0.0, 8.0), self._lands))
        else:
            await do()
        raise no_answer(self._name)

    async def _crash(self, do: Callable[[], Awaitable[Any]], instruction: bool) -> None:
        when = self._sender.rng.choice(["before", "after", "in flight"] if instruction else ["before"])
        if when == "after":
            await do()
        elif when == "in flight":
            delay_s = self._sender.rng.uniform(0.0, IN_FLIGHT_S)
            self._sender.outlive(_later(do, delay_s))
        self._sender.die(f"{when} a call to the {self._name}")

    async def _pause(self, do: Callable[[], Awaitable[Any]]) -> Any:
        rng = self._sender.rng
        first = rng.random() < 0.5
        answer = await do() if first else None
        self._sender.pause(rng.choice([3.0, 8.0, 20.0, 40.0]), f"{'after' if first else 'before'} a call")
        await self._sender.turn()
        return answer if first else await do()


async def _late(do: Callable[[], Awaitable[Any]], delay_s: float, lands: Callable[[], object]) -> None:
    sent = lands()
    await asyncio.sleep(delay_s)
    if lands() == sent:
        await do()


async def _later(do: Callable[[], Awaitable[Any]], delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    try:
        await do()
    except TrimtabError:
        pass  # nobody is left to hear of it


class StoreLink:
    """The way to the store, whose calls do not wait: it may be gone or full, and a write may be the last thing that a
    controller does, just before it or just after."""

    def __init__(self, sender: Sender, store: Any, history: History, committed: Callable[[str], None]) -> None:
        self._sender, self._store, self._history, self._committed = sender, store, history, committed

    def __getattr__(self, method: str) -> Any:
        target = getattr(self._store, method)
        carry = self._write if method in _WRITES else self._read

        def call(*args: Any, **kwargs: Any) -> Any:
            return carry(method, target, args, kwargs)

        setattr(self, method, call)
        return call

    def _read(self, method: str, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        del method
        self._sender.check_alive()
        if "store" in self._sender.cut_off:
            raise failure("store-gone", "the store cannot be reached")
        return target(*args, **kwargs)

    def _write(self, method: str, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        sender = self._sender
        sender.check_alive()
        if "store" in sender.cut_off or "space" in sender.cut_off:
            raise failure("store-full", "there is no space left for the store")
        drawn = sender.rng.random() if sender.weather.crash else 1.0
        if drawn < sender.weather.crash:
            self._history.fault("crash: before a write", sender.name, method)
            sender.die(f"before {method}")
        answer = target(*args, **kwargs)
        if method == "commit":
            self._committed(args[0].object)
        if drawn < 2 * sender.weather.crash:
            self._history.fault("crash: after a write", sender.name, method)
            sender.die(f"after {method}")
        return answer
