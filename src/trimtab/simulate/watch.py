"""The evidence on many rollouts at once: what `core/stats/evidence.py` does to one, on arrays.

The formulas, weights and limits are those of the running system (`rule`, `CountTest`, `rollback_log_e`, `thresholds`),
called with numpy. Only the bookkeeping around them is here: which ticks are large enough, the careful share, when
promotion starts anew. `tests/simulate/test_watch.py` holds it to the decisions of `observe` and `judge`.

Taken as given: the latency thresholds are known from before, the split is sound. Metrics of one's own and mirrored
answers say nothing either way, since nobody knows their numbers beforehand: they keep their part of the wealth.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.stats.counted import Counted, CountTest
from trimtab.core.stats.eprocess import NOTHING, Counts
from trimtab.core.stats.evidence import STRATUM_REQUESTS
from trimtab.core.stats.rule import rule
from trimtab.core.stats.verdict import rollback_log_e, thresholds
from trimtab.simulate.traffic import Array, Drawn, counts_at, counts_of, metric_names


class Watch:
    """Evidence on `runs` rollouts. `promotion`: whether proofs of being good enough are kept, too: half the work."""

    def __init__(
        self, spec: AnalysisSpec, runs: int, *, promotion: bool = True, answers_pct: float | None = None
    ) -> None:
        self._rule = rule(spec, answers_pct)
        self._names = metric_names(spec)
        self._tests: list[CountTest] = [self._rule.counts[name] for name in self._names]
        self._promotion = promotion
        self.rollback_at, self.promote_at = thresholds(spec)
        if any(test.worse != self._tests[0].worse for test in self._tests):
            raise AssertionError("the gateway's metrics are looked at with one and the same mixture")
        rows = np.zeros((len(self._names), runs))
        self._harm = Counted(worse=tuple(rows for _ in self._tests[0].begin().worse)) if self._tests else Counted()
        self._proof = [_zeros(test, runs) for test in self._tests]
        self._pending: Drawn | None = None
        self._share = np.zeros(runs)
        self._exposed = np.zeros(runs), np.zeros(runs)
        self.step_requests = np.zeros(runs)

    @property
    def has_metrics(self) -> bool:
        return bool(self._tests)

    def count(self, drawn: Drawn, share: Array, in_step: Array | None = None, settled: Array | None = None) -> None:
        """Take a tick. `share`: the candidate's part of the exposures by assignment (0 to 1). `in_step`, `settled`: as
        in `evidence.Tick`; None: everywhere."""
        tick = self._large_enough(drawn)
        self._count_harm(tick, share)
        self.step_requests = self.step_requests + (tick.requests[0] if in_step is None else tick.requests[0] * in_step)
        if self._promotion:
            counts = tick.counts if settled is None else tick.only(settled).counts
            self._proof = [
                test.count_for_step(proof, _row(counts, index), np)
                for index, (test, proof) in enumerate(zip(self._tests, self._proof, strict=True))
            ]

    def _large_enough(self, drawn: Drawn) -> Drawn:
        """What is too little yet waits for more."""
        pending = drawn if self._pending is None else self._pending.plus(drawn)
        ready = pending.requests[0] + pending.requests[1] >= STRATUM_REQUESTS
        if ready.all():
            self._pending = None
            return pending
        self._pending = pending.only(~ready)
        return pending.only(ready)

    def _count_harm(self, tick: Drawn, share: Array) -> None:
        if not self._tests:
            return
        # `Exposure.plus` and `Exposure.careful_share`. A tick that still waits has no exposures and no bad events.
        arrived = tick.requests[0] + tick.requests[1] > 0
        same = (self._share == share) | ~arrived
        candidate, stable = (before * same + now for before, now in zip(self._exposed, tick.exposed, strict=True))
        self._share = np.where(arrived, share, self._share)
        self._exposed = candidate, stable
        every = candidate + stable
        careful = np.maximum(self._share, candidate / (every + (every == 0)))
        self._harm = self._tests[0].count(self._harm, tick.counts, careful, np)

    def enter_step(self, where: Array) -> None:
        """No step passes on evidence from another step."""
        stays = ~where
        self.step_requests = self.step_requests * stays
        self._proof = [
            replace(proof, within=_times(proof.within, stays), below=_times(proof.below, stays), step=NOTHING)
            for proof in self._proof
        ]

    def rollback_log_e(self) -> Array:
        """The evidence for a rollback, of each rollout."""
        if not self._tests:
            return np.full(len(self.step_requests), -np.inf)
        worse: dict[str, Any] = {name: np.zeros(1) for name in (*self._rule.counts, *self._rule.scores)}
        worse |= zip(self._names, self._tests[0].worse_log_e(self._harm, np), strict=True)
        log_e: Array = rollback_log_e(self._rule, worse, np)
        return log_e

    @property
    def failed(self) -> Array:
        """Which candidates are proven worse."""
        return self.rollback_log_e() >= self.rollback_at

    @property
    def passed(self) -> Array:
        """Which are proven good enough on every metric, on the evidence of their step; never without a request."""
        good = self.step_requests > 0
        for test, proof in zip(self._tests, self._proof, strict=True):
            good = good & (test.promote_log_e(proof, np) >= self.promote_at)
        return good

    def keep(self, kept: Array) -> None:
        """Forget the rollouts that are over."""
        self._harm = replace(self._harm, worse=_at(self._harm.worse, kept), whole=counts_at(self._harm.whole, kept))
        self._proof = [
            replace(
                proof,
                within=_at(proof.within, kept),
                below=_at(proof.below, kept),
                step=counts_at(proof.step, kept),
            )
            for proof in self._proof
        ]
        self._pending = None if self._pending is None else self._pending.keep(kept)
        self._share = self._share[kept]
        self._exposed = self._exposed[0][kept], self._exposed[1][kept]
        self.step_requests = self.step_requests[kept]


def _zeros(test: CountTest, runs: int) -> Counted:
    begun = test.begin()
    nought = np.zeros(runs)
    return Counted(within=tuple(nought for _ in begun.within), below=tuple(nought for _ in begun.below))


def _row(counts: Counts, index: int) -> Counts:
    """One metric's counts; exposures may be common to all."""
    parts: tuple[Any, ...] = (counts.all_candidate, counts.bad_candidate, counts.all_stable, counts.bad_stable)
    return counts_of(*(part[index] if part.ndim == 2 else part for part in parts))


def _times(wealth: tuple[Any, ...], factor: Array) -> tuple[Any, ...]:
    return tuple(log_e * factor for log_e in wealth)


def _at(wealth: tuple[Any, ...], kept: Array) -> tuple[Any, ...]:
    return tuple(log_e[..., kept] for log_e in wealth)
