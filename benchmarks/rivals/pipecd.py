"""PipeCD's ANALYSIS stage: one query in each interval, and failures counted against a limit.

Modelled on metrics_analyzer.go: THRESHOLD fails on any point out of range and passes without points; CANARY_BASELINE
fails on a two-sided Mann-Whitney p of at most 0.05, whatever the size of the difference, each time anew; both sides
empty pass, one empty is a failure. The p-value is the normal approximation here also for few points.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import mannwhitneyu

from benchmarks.rivals.series import Array, Series

P_AT_MOST = 0.05


@dataclass(frozen=True, slots=True)
class PipeCD:
    """`points`: how many the answer of a query has. `max_error_pct`: of THRESHOLD."""

    name: str
    strategy: Literal["threshold", "baseline"]
    interval_s: float
    duration_s: float
    failure_limit: int = 0
    max_error_pct: float = 0.0
    points: int = 1

    @property
    def promotes_without_data(self) -> bool:
        """No points are as expected; so are none on both sides, but the baseline has some."""
        return self.strategy == "threshold"

    def rolled_back_s(self, series: Series) -> Array:
        fine = series.every(self.interval_s / self.points)
        queries = min(fine.candidate.all.shape[1] // self.points, round(self.duration_s / self.interval_s))
        failures, ended = np.zeros(series.rollouts, dtype=int), np.full(series.rollouts, np.inf)
        for query in range(queries):
            window = slice(query * self.points, (query + 1) * self.points)
            failures += ~self.expected(fine.candidate.error_pct[:, window], fine.baseline.error_pct[:, window])
            over = np.isinf(ended) & (failures > self.failure_limit)
            ended = np.where(over, (query + 1) * self.interval_s, ended)
        return ended

    def expected(self, candidate: Array, baseline: Array) -> Array:
        """Whether each row of points is as it should be."""
        if self.strategy == "threshold":
            return np.asarray(~(candidate > self.max_error_pct).any(axis=1))
        mine, theirs = np.isnan(candidate).all(axis=1), np.isnan(baseline).all(axis=1)
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # no points at all: seen to below
            p = mannwhitneyu(candidate, baseline, axis=1, method="asymptotic", nan_policy="omit").pvalue
        alike = ~(p <= P_AT_MOST)  # all the same value: no p-value, no difference
        return np.where(mine | theirs, mine & theirs, alike)
