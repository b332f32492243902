"""Trying again, with growing pauses, for a bounded time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.say import duration
from trimtab.ports.clock import Clock

T = TypeVar("T")


class Again(Exception):
    """It did not work, and may work later. `wait_s`: not before so many seconds, if the other side said so."""

    def __init__(self, problem: Problem, wait_s: float = 0.0) -> None:
        super().__init__(problem.message)
        self.problem, self.wait_s = problem, wait_s


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited before each attempt, and altogether (seconds). A forge that limits how often it is asked lets
    one in again after an hour at most."""

    first_s: float = 1.0
    longest_s: float = 300.0
    total_s: float = 7200.0

    def wait_s(self, failures: int, told_s: float, chance: float) -> float:
        """Before the next attempt. `chance` (0 to 1) spreads the attempts of many over half of the time, so that they
        do not all come at once when the other side is back."""
        pause_s = min(self.first_s * 2.0 ** min(failures - 1, 30), self.longest_s)
        return max(told_s, pause_s / 2.0) + chance * pause_s / 2.0


async def patiently(
    work: Callable[[], Awaitable[T]], clock: Clock, chance: Callable[[], float], patience: Patience
) -> T:
    """What `work` returns. It is tried again when it raises `Again`, until waiting longer would be too long: then that
    problem is raised."""
    waited_s, failures = 0.0, 0
    while True:
        try:
            return await work()
        except Again as again:
            failures += 1
            wait_s = patience.wait_s(failures, again.wait_s, chance())
            if waited_s + wait_s > patience.total_s:
                raise _given_up(again.problem, failures, waited_s) from None
        waited_s += wait_s
        await clock.sleep(wait_s)


def _given_up(problem: Problem, attempts: int, waited_s: float) -> TrimtabError:
    message = f"{problem.message} (given up after {attempts} attempts in {duration(waited_s)})"
    return TrimtabError(Problem(problem.code, message, problem.hint, problem.where))
