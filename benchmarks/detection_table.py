"""How long a verdict takes, by traffic: minutes from the first request to the end of the rollout, simulated.

The decisions are the real ones (`decide_rollout`, with the default steps and analysis where a column says nothing
else); requests come at random, fail independently of each other, and take equally long on both releases. The stable
release fails on 0.5 % of them. A tick comes when there are enough requests to count: nothing is decided in between.
Each cell says what happened most often, how often, and the median time of those.

    python -m benchmarks.detection_table [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections import Counter
from dataclasses import dataclass, replace

from trimtab.core.decide.rollout import TICK_S, RolloutReading, RolloutState, decide_rollout
from trimtab.core.model.facts import ActionDone, Recorded, RolloutRequested
from trimtab.core.model.identity import EnvironmentId, rollout_object
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.core.model.traffic import ArmCounts, Endpoint, Instance, TrafficReading
from trimtab.core.stats.canary import STRATUM_REQUESTS
from trimtab.core.stats.histogram import Histogram, bucket_of

STABLE_FAILS = 0.005
TIMES_WORSE = (1, 2, 5, 10)
LEARNT_FROM_S = 300.0
FEW_REQUESTS = StrategySpec(steps=(RolloutStep(50.0),), deadline_s=6 * 3600.0)
COLUMNS = (
    ("1 request/s", 1, StrategySpec()),
    ("1 request/s, one step of 50 %, deadline 6 h", 1, FEW_REQUESTS),
    ("10 requests/s", 10, StrategySpec()),
    ("100 requests/s", 100, StrategySpec()),
)
PRODUCTION = EnvironmentId("shop", "production")
ROLLOUT = rollout_object(PRODUCTION, 1)
CANDIDATE, STABLE = f"sha256:{'c' * 64}", f"sha256:{'5' * 64}"
READY = (Instance("shop-1", CANDIDATE, Endpoint("127.0.0.1", 1), "ready"),)


@dataclass(frozen=True, slots=True)
class Ending:
    """`how`: promoted, caught (proven worse), or late (neither until the deadline)."""

    how: str
    minutes: float


class Traffic:
    """Requests to both releases; an answer takes 200 ms, give or take."""

    def __init__(self, rate: float, candidate_fails: float, seed: int) -> None:
        self._chance = random.Random(seed)
        self._rate = rate
        self._fails = {CANDIDATE: candidate_fails, STABLE: STABLE_FAILS}
        self._buckets = [bucket_of(self._chance.lognormvariate(math.log(200_000), 0.5)) for _ in range(10_000)]
        self.counts = {CANDIDATE: ArmCounts("1"), STABLE: ArmCounts("1")}
        self._serve(STABLE, round(rate * LEARNT_FROM_S))
        self.counts[STABLE] = replace(self.counts[STABLE], recent=self.counts[STABLE].latency)

    def tick(self, share: float) -> float:
        """Serve until there is something to count; the seconds that took. `share` goes to the candidate."""
        least_s = max(TICK_S, STRATUM_REQUESTS / self._rate)
        count = max(STRATUM_REQUESTS, round(self._chance.gauss(self._rate * least_s, math.sqrt(self._rate * least_s))))
        candidate = sum(self._chance.random() < share for _ in range(count))
        self._serve(CANDIDATE, candidate)
        self._serve(STABLE, count - candidate)
        return count / self._rate

    def _serve(self, release: str, requests: int) -> None:
        failed = sum(self._chance.random() < self._fails[release] for _ in range(requests))
        took = Histogram(Counter(self._chance.choices(self._buckets, k=requests)))
        seen = self.counts[release]
        self.counts[release] = replace(
            seen, requests=seen.requests + requests, errors=seen.errors + failed, latency=seen.latency.plus(took)
        )


def roll_out(traffic: Traffic, strategy: StrategySpec) -> Ending:
    """One rollout from its first step to its end."""
    places = (EnvironmentSpec("production", 8080, strategy=strategy),)
    now, share_pct = 0.0, 0.0
    state = RolloutState(PRODUCTION, 1)
    asked = RolloutRequested(1, CANDIDATE, STABLE, Specification("shop", ServiceSpec("app"), places), instant=False)
    facts = (Recorded(ROLLOUT, asked), Recorded(ROLLOUT, ActionDone("route", "ApplyRoute")))
    for fact in facts:
        state = decide_rollout(state, (fact,), RolloutReading(candidate=READY, counts=traffic.counts), now).state
    while state.phase not in ("promoting", "returning"):
        if state.phase == "observing":
            now += traffic.tick(share_pct / 100)
        gateway = TrafficReading(STABLE, CANDIDATE, ROLLOUT, share_pct)
        decision = decide_rollout(state, (), RolloutReading(gateway, READY, traffic.counts), now)
        state = decision.state
        share_pct = decision.lease.weight_pct if decision.lease else 0.0
    if state.phase == "promoting":
        return Ending("promoted", now / 60)
    late = state.ending is not None and state.ending.reason.startswith("not promoted within")
    return Ending("late" if late else "caught", now / 60)


def cell(times_worse: int, rate: int, strategy: StrategySpec, runs: int) -> tuple[str, float]:
    """What is printed of some rollouts, and the median minutes in it."""
    endings = [roll_out(Traffic(rate, times_worse * STABLE_FAILS, seed), strategy) for seed in range(runs)]
    how, often = Counter(ending.how for ending in endings).most_common(1)[0]
    minutes = statistics.median(ending.minutes for ending in endings if ending.how == how)
    said = "no verdict in time" if how == "late" else f"{how} after {minutes:.1f} min"
    return f"{said} ({100 * often / runs:.0f} %)", minutes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer rollouts")
    parser.add_argument("--json", action="store_true", help="the minutes as one JSON object on the last line")
    options = parser.parse_args()
    runs = 10 if options.quick else 40
    minutes: dict[str, float] = {}
    print(f"| the candidate fails on | {' | '.join(name for name, _, _ in COLUMNS)} |")
    print(f"|---|{'---|' * len(COLUMNS)}")
    for times in TIMES_WORSE:
        cells = []
        for name, rate, strategy in COLUMNS:
            said, minutes[f"{times} times as often, {name}"] = cell(times, rate, strategy, runs)
            cells.append(said)
        fails = f"{100 * times * STABLE_FAILS:g} %, " + ("as stable does" if times == 1 else f"{times} times as often")
        print(f"| {fails} | {' | '.join(cells)} |", flush=True)
    if options.json:
        print(json.dumps(minutes))


if __name__ == "__main__":
    main()
