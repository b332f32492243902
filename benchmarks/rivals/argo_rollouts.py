"""Argo Rollouts' AnalysisRun: measurements at an interval, each successful or not, counted against limits.

Modelled on analysis/analysis.go and evaluate.go: the counters; the order in which limits are looked at (failed before
inconclusive before errors before successes in a row before the count); "more than" the limit fails; no data is an
error; errors do not count as measurements. An error is looked at again at the next interval here, not after 10 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.rivals.series import Array, Series

SUCCESSFUL, FAILED, INCONCLUSIVE, ERROR = range(4)
RUNNING = -1


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of an AnalysisTemplate with Argo's defaults. Limits are the largest numbers that are still fine; a
    negative `failure_limit` switches it off. With `consecutive_success_limit` the count alone is no success."""

    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = 4
    consecutive_success_limit: int = 0
    count: int | None = None
    success_at_least: float | None = None
    failure_below: float | None = None

    def measure(self, values: Array) -> Array:
        """What a measured value is worth; NaN is an empty answer."""
        success, failure = self.success_at_least, self.failure_below
        fails = values < failure if failure is not None else np.zeros(values.shape, dtype=bool)
        if success is not None:
            neither = INCONCLUSIVE if failure is not None else FAILED
            kind = np.where(fails, FAILED, np.where(values >= success, SUCCESSFUL, neither))
        else:
            kind = np.where(fails, FAILED, SUCCESSFUL)
        return np.where(np.isnan(values), ERROR, kind)

    def run(self, kinds: Array) -> tuple[Array, Array]:
        """The phase that each row of measurements ends in (RUNNING if in none), and after how many measurements."""
        rows, length = kinds.shape
        phase, ended = np.full(rows, RUNNING), np.full(rows, length)
        successful, failed, inconclusive, errors, in_a_row = (np.zeros(rows, dtype=int) for _ in range(5))
        for index in range(length):
            kind = kinds[:, index]
            successful += kind == SUCCESSFUL
            failed += kind == FAILED
            inconclusive += kind == INCONCLUSIVE
            errors = np.where(kind == ERROR, errors + 1, 0)
            in_a_row = np.where(kind == SUCCESSFUL, in_a_row + 1, 0)
            now = self._phase(successful, failed, inconclusive, errors, in_a_row)
            new = (phase == RUNNING) & (now != RUNNING)
            phase, ended = np.where(new, now, phase), np.where(new, index + 1, ended)
        return phase, ended

    def _phase(self, successful: Array, failed: Array, inconclusive: Array, errors: Array, in_a_row: Array) -> Array:
        phase = np.full(successful.shape, RUNNING)
        if self.count is not None:
            reached = successful + failed + inconclusive >= self.count
            otherwise = SUCCESSFUL if not self.consecutive_success_limit else INCONCLUSIVE if self._can_fail else FAILED
            phase = np.where(reached, otherwise, phase)
        if self.consecutive_success_limit:
            phase = np.where(in_a_row >= self.consecutive_success_limit, SUCCESSFUL, phase)
        phase = np.where(errors > self.consecutive_error_limit, ERROR, phase)
        phase = np.where(inconclusive > self.inconclusive_limit, INCONCLUSIVE, phase)
        return np.where(failed > self.failure_limit, FAILED, phase) if self._can_fail else phase

    @property
    def _can_fail(self) -> bool:
        return self.failure_limit >= 0


@dataclass(frozen=True, slots=True)
class ArgoRollouts:
    """A background analysis of the candidate's success rate. Failed and Error abort the rollout."""

    name: str
    interval_s: float
    metric: Metric
    promotes_without_data: bool = False

    def rolled_back_s(self, series: Series) -> Array:
        success = 1.0 - series.every(self.interval_s).candidate.error_pct / 100.0
        phase, measurements = self.metric.run(self.metric.measure(success))
        aborted = (phase == FAILED) | (phase == ERROR)
        return np.where(aborted, measurements * self.interval_s, np.inf)
