"""Random traffic for many rollouts at once: one number for each rollout in every array.

Requests come as a Poisson process and are independent of each other; those of a user who fails are not, when they are
counted by users. A request is failed, fast, slower than the stable release's median, or slower than a higher quantile;
each kind is a Poisson process of its own, so four draws for an arm are exact however many requests there are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.stats.eprocess import Counts
from trimtab.core.stats.latency import quantile_name
from trimtab.core.stats.rule import ERRORS

Array = NDArray[Any]
"""Numbers, the last axis over rollouts."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a release does to requests. `errors`: the share that fails (0 to 1). `slow_times`: how many times as many
    requests are beyond the highest quantile as the stable release had beyond it."""

    errors: float
    slow_times: float = 1.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """One tick. `requests`: of the candidate and of the stable release. `counts`: exposures and bad events, with one
    row for each metric. `exposed`: requests or users that could fail, as the metric of errors counts them."""

    requests: tuple[Array, Array]
    counts: Counts
    exposed: tuple[Array, Array]

    def plus(self, other: Drawn) -> Drawn:
        return Drawn(
            _both(self.requests, other.requests), self.counts.plus(other.counts), _both(self.exposed, other.exposed)
        )

    def only(self, where: Array) -> Drawn:
        """Nothing for the rollouts where it is false."""
        c = self.counts
        counts = counts_of(c.all_candidate * where, c.bad_candidate * where, c.all_stable * where, c.bad_stable * where)
        return Drawn(_times(self.requests, where), counts, _times(self.exposed, where))

    def keep(self, kept: Array) -> Drawn:
        """Without the rollouts that are over."""
        return Drawn(_at(self.requests, kept), counts_at(self.counts, kept), _at(self.exposed, kept))


class Traffic(Protocol):
    """A source of ticks."""

    def draw(self, tick_s: float, candidate_rate: Array, stable_rate: Array) -> Drawn:
        """What comes in `tick_s` at these rates (requests per second), for as many rollouts as there are rates."""
        ...

    def keep(self, kept: Array) -> None:
        """Forget the rollouts that are over."""
        ...


def metric_names(spec: AnalysisSpec) -> tuple[str, ...]:
    """The gateway's metrics, in the order of the rows."""
    latency = spec.latency.quantiles if spec.latency is not None else ()
    return ((ERRORS,) if spec.errors is not None else ()) + tuple(quantile_name(quantile) for quantile in latency)


class RequestTraffic:
    """Independent requests, counted each."""

    def __init__(self, spec: AnalysisSpec, candidate: Behaviour, stable: Behaviour, seed: int) -> None:
        self._chance = np.random.Generator(np.random.SFC64(seed))
        self._errors = spec.errors is not None
        self._quantiles = spec.latency.quantiles if spec.latency is not None else ()
        self._arms = candidate, stable

    def behave(self, candidate: Behaviour, stable: Behaviour) -> None:
        """From now on the arms do this."""
        self._arms = candidate, stable

    def draw(self, tick_s: float, candidate_rate: Array, stable_rate: Array) -> Drawn:
        candidate, bad_candidate = self._arm(self._arms[0], candidate_rate * tick_s)
        stable, bad_stable = self._arm(self._arms[1], stable_rate * tick_s)
        return Drawn(
            (candidate, stable),
            counts_of(candidate, bad_candidate, stable, bad_stable),
            (candidate, stable),
        )

    def keep(self, kept: Array) -> None:
        pass

    def _arm(self, does: Behaviour, expected: Array) -> tuple[Array, Array]:
        """Requests, and bad events in one row for each metric."""
        beyond = exceedances(self._quantiles, does.slow_times)
        # Failed requests count as fast: there is room for the others only beside them.
        room = min(1.0, (1.0 - does.errors) / max(beyond, default=1.0))
        beyond = tuple(share * room for share in beyond)
        failed = self._chance.poisson(does.errors * expected)
        rows, slower = [failed] if self._errors else [], np.zeros_like(failed)
        # From the highest quantile down: what is beyond it is beyond all the lower ones, too.
        by_quantile: list[Array] = []
        so_far = 0.0
        for share in reversed(beyond):
            slower = slower + self._chance.poisson(max(0.0, share - so_far) * expected)
            so_far = max(so_far, share)
            by_quantile.insert(0, slower)
        fast = self._chance.poisson(max(0.0, 1.0 - so_far - does.errors) * expected)
        bad = np.array(rows + by_quantile, dtype=float).reshape(-1, len(failed))
        return failed + slower + fast, bad


def exceedances(quantiles: tuple[float, ...], slow_times: float) -> tuple[float, ...]:
    """The share of requests beyond each quantile of the stable release when `slow_times` as many are beyond the highest
    one: they come out of those just below it."""
    if not quantiles:
        return ()
    tail = min(0.95, (1.0 - max(quantiles)) * slow_times)
    return tuple(max(1.0 - quantile, tail) for quantile in quantiles)


@dataclass(slots=True)
class _Arm:
    """The users of one arm who are active: whole ones, by the second in which they came."""

    whole: Array
    came: deque[Array] = field(default_factory=deque)


class UserTraffic:
    """Users who make one request a second, `requests_each` in all; a share of them fails on every one.

    Nothing is more correlated than that. Counted by users (`by_user`): exposed once a second until the first failure;
    else by requests, which is what must not be done with such users. Errors only.
    """

    def __init__(
        self, candidate: float, stable: float, requests_each: int, runs: int, seed: int, *, by_user: bool = True
    ) -> None:
        self._chance = np.random.Generator(np.random.SFC64(seed))
        self._errors = candidate, stable
        self._each = requests_each
        self._by_user = by_user
        self._arms = [_Arm(np.zeros(runs)), _Arm(np.zeros(runs))]
        self._broken = [_Arm(np.zeros(runs)), _Arm(np.zeros(runs))]

    def draw(self, tick_s: float, candidate_rate: Array, stable_rate: Array) -> Drawn:
        """`tick_s` must be a second: everybody's pace."""
        assert tick_s == 1.0, "users are simulated second by second"
        drawn = [self._arm(index, rate) for index, rate in enumerate((candidate_rate, stable_rate))]
        (requests_c, exposed_c, failed_c), (requests_s, exposed_s, failed_s) = drawn
        counts = counts_of(exposed_c, failed_c[None, :], exposed_s, failed_s[None, :])
        return Drawn((requests_c, requests_s), counts, (exposed_c, exposed_s))

    def keep(self, kept: Array) -> None:
        for arm in (*self._arms, *self._broken):
            arm.whole = arm.whole[kept]
            arm.came = deque(came[kept] for came in arm.came)

    def _arm(self, index: int, rate: Array) -> tuple[Array, Array, Array]:
        """Requests, exposures, and how many of those were bad."""
        new, fails = rate / self._each, self._errors[index]
        whole = self._chance.poisson(new * (1.0 - fails)).astype(float)
        broken = self._chance.poisson(new * fails).astype(float)
        for arm, came in ((self._arms[index], whole), (self._broken[index], broken)):
            arm.whole = arm.whole + came
            arm.came.append(came)
            if len(arm.came) > self._each:
                arm.whole = arm.whole - arm.came.popleft()
        fine, failing = self._arms[index].whole, self._broken[index].whole
        return (fine + failing, fine + broken, broken) if self._by_user else (fine + failing, fine + failing, failing)


def counts_of(all_candidate: Any, bad_candidate: Any, all_stable: Any, bad_stable: Any) -> Counts:
    """Counts of many rollouts: arrays in the place of numbers."""
    return Counts(all_candidate, bad_candidate, all_stable, bad_stable)


def counts_at(counts: Counts, kept: Array) -> Counts:
    """The counts of some of the rollouts."""
    parts: tuple[Any, ...] = (counts.all_candidate, counts.bad_candidate, counts.all_stable, counts.bad_stable)
    return counts_of(*(part[..., kept] if isinstance(part, np.ndarray) else part for part in parts))


def _both(mine: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    return mine[0] + other[0], mine[1] + other[1]


def _times(arms: tuple[Array, Array], where: Array) -> tuple[Array, Array]:
    return arms[0] * where, arms[1] * where


def _at(arms: tuple[Array, Array], kept: Array) -> tuple[Array, Array]:
    return arms[0][kept], arms[1][kept]
