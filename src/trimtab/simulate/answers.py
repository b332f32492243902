"""What one wants to know before a rollout starts: is harm caught, how soon, and how soon is a good release through?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trimtab.core.model.specification import EnvironmentSpec
from trimtab.simulate.rollouts import CAUGHT, LATE, PROMOTED, Endings, Load, simulate
from trimtab.simulate.traffic import Array, Behaviour

HEALTHY = "as good as stable"
ERROR_RATIOS = (1.5, 2.0, 5.0)
SLOW_RATIOS = (2.0, 5.0)
MOST_ERRORS = 0.95
TYPICAL, LATEST = 50.0, 90.0


@dataclass(frozen=True, slots=True)
class Range:
    """The median of some rollouts, and what nine in ten of them stay within."""

    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Answer:
    """How rollouts of one kind of candidate end, in per cent, and when; None where none ended so."""

    candidate: str
    """``2x errors``, ``2x slow requests``."""
    caught_pct: float
    promoted_pct: float
    no_verdict_pct: float
    """Neither until the deadline, which sends them back."""
    minutes_to_catch: Range | None
    requests_to_catch: Range | None
    """Candidate requests."""
    minutes_to_promote: Range | None


def answers(place: EnvironmentSpec, load: Load, runs: int, seed: int) -> Iterator[Answer]:
    """One answer for each kind of candidate, the healthy one first. Errors: as `simulate`."""
    for number, (name, candidate) in enumerate(_candidates(place, load)):
        yield _answer(name, simulate(place, load, candidate, runs, seed + number))


def _candidates(place: EnvironmentSpec, load: Load) -> Iterator[tuple[str, Behaviour]]:
    yield HEALTHY, Behaviour(load.errors)
    if place.analysis.errors is not None:
        for ratio in ERROR_RATIOS:
            yield f"{ratio:g}x errors", Behaviour(min(MOST_ERRORS, ratio * load.errors))
    if place.analysis.latency is not None and not load.requests_each:
        for ratio in SLOW_RATIOS:
            yield f"{ratio:g}x slow requests", Behaviour(load.errors, ratio)


def _answer(name: str, endings: Endings) -> Answer:
    caught, promoted = endings.how == CAUGHT, endings.how == PROMOTED
    return Answer(
        candidate=name,
        caught_pct=100.0 * endings.share(CAUGHT),
        promoted_pct=100.0 * endings.share(PROMOTED),
        no_verdict_pct=100.0 * endings.share(LATE),
        minutes_to_catch=_range(endings.seconds[caught] / 60.0),
        requests_to_catch=_range(endings.requests[caught]),
        minutes_to_promote=_range(endings.seconds[promoted] / 60.0),
    )


def _range(values: Array) -> Range | None:
    if not len(values):
        return None
    median, p90 = np.percentile(values, [TYPICAL, LATEST])
    return Range(float(median), float(p90))
