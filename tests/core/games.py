"""Games against an e-process: whoever may choose what comes next, and when to stop, still wins nothing on average."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from trimtab.core.stats.eprocess import Counts

State = TypeVar("State")
Outcome = TypeVar("Outcome")
Chances = Sequence[tuple[float, Outcome]]
"""What can happen in a tick, each with its probability."""


def most_that_can_be_won(
    start: State,
    worth: Callable[[State], float],
    after: Callable[[State, Outcome], State],
    ticks: Sequence[Chances[Outcome]],
    rounds: int,
) -> float:
    """The expected worth at the end under the best of all rules that choose, knowing everything so far, which of
    `ticks` comes next and when to stop."""
    best = worth(start)
    if rounds == 0:
        return best
    for tick in ticks:
        mean = sum(
            chance * most_that_can_be_won(after(start, outcome), worth, after, ticks, rounds - 1)
            for chance, outcome in tick
        )
        best = max(best, mean)
    return best


def binomial(n: int, k: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1.0 - p) ** (n - k)


def counts_tick(n_c: int, p_c: float, n_s: int, p_s: float) -> list[tuple[float, Counts]]:
    """Independent requests on both arms."""
    return [
        (binomial(n_c, k_c, p_c) * binomial(n_s, k_s, p_s), Counts(n_c, k_c, n_s, k_s))
        for k_c in range(n_c + 1)
        for k_s in range(n_s + 1)
    ]


def scores_tick(
    candidate: dict[int, float], stable: dict[int, float], n_c: int, n_s: int
) -> list[tuple[float, tuple[dict[int, int], dict[int, int]]]]:
    """Independent scores on both arms, each from a distribution by per cent."""
    return [
        (
            math.prod(candidate[y] for y in mine) * math.prod(stable[y] for y in theirs),
            (as_counts(mine), as_counts(theirs)),
        )
        for mine in itertools.product(candidate, repeat=n_c)
        for theirs in itertools.product(stable, repeat=n_s)
    ]


def as_counts(scores: Sequence[int]) -> dict[int, int]:
    return {score: scores.count(score) for score in scores}
