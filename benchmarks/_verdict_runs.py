"""Our rule and the rivals', run in thousands in a world."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks._verdict_worlds import STABLE_FAILS, World, series
from benchmarks.rivals.series import Array, Rule
from trimtab.core.model.specification import AnalysisSpec
from trimtab.simulate.traffic import Behaviour, RequestTraffic, UserTraffic
from trimtab.simulate.watch import Watch

RIVAL_CHUNK = 250
"""Rollouts of a rival at a time: what 24 hours of them need in memory."""
ALPHA = 0.01
WORTH_FORGETTING = 0.9
"""Rollouts that are over are taken out of the arrays when they are a tenth of them."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often our rule looks: ticks of `lengths_s`, each until the time beside it."""

    until_s: tuple[float, ...]
    lengths_s: tuple[float, ...]

    def ticks(self, world: World) -> Iterator[tuple[float, float]]:
        """When each tick begins, and how long it is."""
        end_s, at_s = world.minutes * 60.0, 0.0
        for until_s, length_s in zip(self.until_s, self.lengths_s, strict=True):
            each_s = 1.0 if world.requests_each else length_s
            while at_s < min(until_s, end_s) - 1e-9:
                yield at_s, each_s
                at_s += each_s


EVERY_TICK = Pace((3600.0, math.inf), (0.5, 5.0))
"""As the running system does, for the first hour."""
COARSER = Pace((60.0, 600.0, 3600.0, math.inf), (0.5, 5.0, 30.0, 300.0))
COARSER_PROMOTION = Pace((180.0, math.inf), (0.5, 3.0))


@dataclass(frozen=True, slots=True)
class Ended:
    """How rollouts ended: seconds, or infinity; and candidate requests by then."""

    rolled_back_s: Array
    promoted_s: Array
    requests: Array

    @property
    def rolled_back_pct(self) -> float:
        return float(100.0 * np.isfinite(self.rolled_back_s).mean())

    @property
    def promoted_pct(self) -> float:
        return float(100.0 * np.isfinite(self.promoted_s).mean())


def ours(world: World, runs: int, seed: int, pace: Pace, *, promotes: bool = False, by_user: bool = True) -> Ended:
    """The running system's rule. Without `promotes` a rollout is watched until it is rolled back, or to the end."""
    # Of users there are errors only: all the wealth is on them.
    spec = AnalysisSpec(latency=None, unit="user" if by_user else "request") if world.requests_each else AnalysisSpec()
    watch = Watch(spec, runs, promotion=promotes)
    traffic = _traffic(world, spec, runs, seed, by_user)
    alive, running = np.arange(runs), np.ones(runs, dtype=bool)
    rolled_back, promoted, requests = np.full(runs, np.inf), np.full(runs, np.inf), np.zeros(runs)
    for at_s, length_s in pace.ticks(world):
        share = np.full(len(alive), world.share_at(at_s + length_s / 2.0))
        if isinstance(traffic, RequestTraffic):
            traffic.behave(*(Behaviour(errors) for errors in world.fails_at(at_s)))
        drawn = traffic.draw(length_s, world.rate * share, world.rate * (1.0 - share))
        # What is assumed of a tick is the larger of the shares at its ends.
        watch.count(drawn, np.full(len(alive), max(world.share_at(at_s), world.share_at(at_s + length_s))))
        requests[alive] += drawn.requests[0] * running
        failed = watch.failed & running
        passed = watch.passed & running & ~failed if promotes else np.zeros(len(alive), dtype=bool)
        rolled_back[alive[failed]] = promoted[alive[passed]] = at_s + length_s
        running &= ~(failed | passed)
        if not running.any():
            break
        if running.mean() < WORTH_FORGETTING:
            watch.keep(running)
            traffic.keep(running)
            alive, running = alive[running], np.ones(int(running.sum()), dtype=bool)
    return Ended(rolled_back, promoted, requests)


def _traffic(world: World, spec: AnalysisSpec, runs: int, seed: int, by_user: bool) -> RequestTraffic | UserTraffic:
    candidate, stable = world.fails_at(0.0)
    if world.requests_each:
        return UserTraffic(candidate, stable, world.requests_each, runs, seed, by_user=by_user)
    return RequestTraffic(spec, Behaviour(candidate), Behaviour(stable), seed)


def rivals(rules: Sequence[Rule], world: World, runs: int, seed: int) -> dict[str, Ended]:
    """The rivals in the same world, all on the same rollouts."""
    chance = np.random.Generator(np.random.SFC64(seed))
    chunks: dict[str, list[Array]] = {rule.name: [] for rule in rules}
    for begun in range(0, runs, RIVAL_CHUNK):
        seen = series(world, min(RIVAL_CHUNK, runs - begun), chance)
        for rule in rules:
            chunks[rule.name].append(rule.rolled_back_s(seen))
    rolled_back = {name: np.concatenate(parts) for name, parts in chunks.items()}
    never = np.full(runs, np.inf)
    return {name: Ended(at_s, never, world.rate * world.share * at_s) for name, at_s in rolled_back.items()}


def wald_bound_requests(world: World) -> float:
    """Candidate requests that any rule with false alarms of at most 1 % needs on average when the stable rate is not
    known: log(1/alpha) / min_p [pi KL(pc, p) + (1 - pi) KL(ps, p)], of which the candidate has the part pi."""
    candidate, stable = world.ratio * STABLE_FAILS, STABLE_FAILS
    pooled = world.share * candidate + (1.0 - world.share) * stable
    information = world.share * _kl(candidate, pooled) + (1.0 - world.share) * _kl(stable, pooled)
    return world.share * math.log(1.0 / ALPHA) / information


def _kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q))
