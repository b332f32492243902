"""Whole rollouts, many at once: steps with their shares, holds, requests, ramps and evidence, until each ends.

Simplified: instances are ready and weights are in force at once, gates pass and people approve at once, everybody takes
part (segments), and in an experiment only the candidate itself is followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from trimtab.core.errors import failure
from trimtab.core.model.specification import AnalysisSpec, EnvironmentSpec
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.core.stats.evidence import STRATUM_REQUESTS
from trimtab.simulate.traffic import Array, Behaviour, RequestTraffic, Traffic, UserTraffic
from trimtab.simulate.watch import Watch

TICK_S = 0.5
LONGEST_TICK_S = 10.0
COARSENING = 0.005
"""Later on, ticks are as long as this part of the time that is gone: all moments are right to half a per cent."""
WORTH_FORGETTING = 0.8
"""Rollouts that are over are taken out of the arrays when they are a fifth of them."""
UNDER_WAY, PROMOTED, CAUGHT, LATE = range(4)


@dataclass(frozen=True, slots=True)
class Load:
    """What comes, and what the stable release does with it. `rate`: requests per second; `requests_each`: how many a
    user makes, one a second (0: requests are independent of each other); `settle_s`: how long a request may take to
    fail, in which a step is no proof of anything good."""

    rate: float
    errors: float
    requests_each: int = 0
    settle_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Endings:
    """How rollouts ended. `how`: PROMOTED, CAUGHT or LATE; `seconds` and candidate `requests` until then."""

    how: Array
    seconds: Array
    requests: Array

    def share(self, how: int) -> float:
        return float((self.how == how).mean())


def simulate(place: EnvironmentSpec, load: Load, candidate: Behaviour, runs: int, seed: int) -> Endings:
    """Roll out a candidate that behaves like this so many times.

    Errors: ``nothing-to-simulate`` when the strategy has no steps, or none with traffic.
    """
    if not any(step.weight_pct > 0 or step.mirror for step in place.strategy.steps):
        hint = "give the environment a strategy with steps, such as `strategy: canary`"
        message = f"{place.name} moves all traffic at once: there is nothing to simulate"
        raise failure("nothing-to-simulate", message, hint)
    if load.requests_each:
        place = replace(place, analysis=_errors_only(place))
    return _Rollouts(place, load, candidate, runs, seed).run()


def _errors_only(place: EnvironmentSpec) -> AnalysisSpec:
    """What can be said of users, of whom only failures are followed."""
    if place.analysis.errors is None:
        message = f"{place.name} does not judge errors, and of users nothing else is simulated"
        raise failure("nothing-to-simulate", message, "leave --users out")
    return replace(place.analysis, latency=None)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The steps as arrays with one number for each, and one more for the way to all traffic."""

    weight: Array
    """The candidate's share of the requests (0 to 1)."""
    stable: Array
    """That of the release it is compared with."""
    copies: Array
    """The part of the stable release's requests of which the candidate gets a copy."""
    ramp_s: Array
    hold_s: Array
    requests: Array
    evidence: Array

    @property
    def steps(self) -> int:
        return len(self.weight) - 1


def _plan(strategy: StrategySpec) -> _Plan:
    def each(of: Callable[[RolloutStep], float], last: float) -> Array:
        return np.array([*(of(step) for step in strategy.steps), last])

    return _Plan(
        weight=each(lambda s: (s.experiment.weight_pct if s.experiment else s.weight_pct) / 100.0, 1.0),
        stable=each(lambda s: (s.experiment.weight_pct if s.experiment else 100.0 - s.weight_pct) / 100.0, 0.0),
        copies=each(lambda s: s.mirror.share_pct / 100.0 if s.mirror else 0.0, 0.0),
        ramp_s=each(lambda s: 0.0 if s.experiment else s.ramp_s, strategy.ramp_s),
        hold_s=each(lambda s: s.hold_s, 0.0),
        requests=each(lambda s: s.requests, 0.0),
        evidence=each(lambda s: s.evidence, 0.0).astype(bool),
    )


class _Rollouts:
    """Many rollouts in the making. Arrays are over those that are not over, `which` says which they are."""

    def __init__(self, place: EnvironmentSpec, load: Load, candidate: Behaviour, runs: int, seed: int) -> None:
        self.plan, self.load, self.deadline_s = _plan(place.strategy), load, place.strategy.deadline_s
        self.watch = Watch(place.analysis, runs, answers_pct=_answers_pct(place.strategy))
        self.traffic = _traffic(place.analysis, load, candidate, runs, seed)
        self.tick_s = _tick_s(load)
        self.how, self.seconds, self.served = np.full(runs, UNDER_WAY), np.zeros(runs), np.zeros(runs)
        self.which, self.going = np.arange(runs), np.ones(runs, dtype=bool)
        self.step, self.before = np.zeros(runs, dtype=int), np.zeros(runs)
        """The share before the current step: ramps begin there."""
        self.entered_s, self.verified_s = np.zeros(runs), np.full(runs, self.plan.ramp_s[0])

    def run(self) -> Endings:
        now_s = 0.0
        while now_s < self.deadline_s and len(self.which):
            tick_s = self.tick_s if self.load.requests_each else max(self.tick_s, now_s * COARSENING)
            now_s += tick_s
            self.serve(now_s, tick_s)
            self.end(self.watch.failed, CAUGHT, now_s)
            self.advance(now_s)
            if len(self.going) and self.going.mean() < WORTH_FORGETTING:
                self.forget()
        self.end(self.going, LATE, self.deadline_s)
        return Endings(self.how, self.seconds, self.served)

    def weight_now(self, now_s: float) -> Array:
        """Evenly up from the share before."""
        to, ramp_s = self.plan.weight[self.step], self.plan.ramp_s[self.step]
        gone = np.where(ramp_s > 0, np.clip((now_s - self.entered_s) / np.maximum(ramp_s, 1e-9), 0.0, 1.0), 1.0)
        return np.where(self.before < to, self.before + (to - self.before) * gone, to)

    def serve(self, now_s: float, tick_s: float) -> None:
        weight, ramped = self.weight_now(now_s), now_s - self.entered_s >= self.plan.ramp_s[self.step]
        stable = np.where(ramped, self.plan.stable[self.step], 1.0 - weight)
        copied = self.plan.copies[self.step] * stable
        drawn = self.traffic.draw(tick_s, self.load.rate * (weight + copied), self.load.rate * stable)
        every = weight + copied + stable
        in_step = ramped & (self.step < self.plan.steps)
        settled = in_step & (now_s - self.verified_s >= self.load.settle_s)
        self.watch.count(drawn, (weight + copied) / np.maximum(every, 1e-12), in_step, settled)
        self.served[self.which] += drawn.requests[0] * self.going

    def advance(self, now_s: float) -> None:
        """End the steps whose conditions all hold."""
        step, plan = self.step, self.plan
        held = now_s - self.verified_s >= plan.hold_s[step]
        done = self.going & held & (now_s - self.entered_s >= plan.ramp_s[step])
        done &= self.watch.step_requests >= plan.requests[step]
        done &= ~plan.evidence[step] | self.watch.passed
        # After the last step comes the way to all traffic; without a ramp it takes no time.
        over = done & ((step == plan.steps) | ((step == plan.steps - 1) & (plan.ramp_s[-1] <= 0)))
        self.end(over, PROMOTED, now_s)
        on = done & ~over
        if on.any():
            self.before = np.where(on, plan.weight[step], self.before)
            self.step = step + on
            self.entered_s = np.where(on, now_s, self.entered_s)
            self.verified_s = np.where(on, now_s + plan.ramp_s[self.step], self.verified_s)
            self.watch.enter_step(on)

    def end(self, which: Array, how: int, now_s: float) -> None:
        new = self.which[which & self.going]
        self.how[new], self.seconds[new] = how, now_s
        self.going = self.going & ~which

    def forget(self) -> None:
        kept = self.going
        self.watch.keep(kept)
        self.traffic.keep(kept)
        self.which, self.step, self.before = self.which[kept], self.step[kept], self.before[kept]
        self.entered_s, self.verified_s = self.entered_s[kept], self.verified_s[kept]
        self.going = kept[kept]


def _traffic(spec: AnalysisSpec, load: Load, candidate: Behaviour, runs: int, seed: int) -> Traffic:
    if load.requests_each:
        by_user = spec.unit == "user"
        return UserTraffic(candidate.errors, load.errors, load.requests_each, runs, seed, by_user=by_user)
    return RequestTraffic(spec, candidate, Behaviour(load.errors), seed)


def _tick_s(load: Load) -> float:
    """As long as it takes until there is something to count, since nothing is decided before."""
    if load.requests_each:
        return 1.0
    return min(LONGEST_TICK_S, max(TICK_S, math.floor(STRATUM_REQUESTS / load.rate / TICK_S) * TICK_S))


def _answers_pct(strategy: StrategySpec) -> float | None:
    limits = [step.mirror.acceptable_pct for step in strategy.steps if step.mirror and step.mirror.compare != "none"]
    return min(limits) if limits else None
