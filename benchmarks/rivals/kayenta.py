"""Kayenta's NetflixACAJudge: Mann-Whitney with a tolerance relative to the Hodges-Lehmann estimate.

Modelled on MannWhitney.scala, MannWhitneyClassifier.scala and the scorers: confidence level 0.98, tolerance 0.25, both
hard-coded there; the ends of the interval and the estimate are roots of a step function, found to 1e-4, which with
discrete data decides the verdict; so they are searched for here as well, not computed by order statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from benchmarks.rivals.series import Array, Series

TOLERANCE = 0.25
Z = 2.3263478740408408
"""The normal quantile of a confidence level of 0.98."""
ROOT_WITHIN = 1e-4
PASS, HIGH, LOW, NODATA = "Pass", "High", "Low", "Nodata"


class Comparison:
    """The Hodges-Lehmann estimate of how much higher the experiment is, and its confidence interval."""

    def __init__(self, experiment: Array, control: Array) -> None:
        self._shifted = _Shift(experiment, control)
        self._least = float(experiment.min() - control.max())
        self._most = float(experiment.max() - control.min())

    @property
    def low(self) -> float:
        return self._root(Z)

    @property
    def may_be_higher(self) -> bool:
        """False only where `low` is surely below 0: one look instead of a search."""
        return self._least >= 0 or self._shifted(-10 * ROOT_WITHIN, Z) > 0

    @property
    def estimate(self) -> float:
        return self._root(0.0)

    @property
    def high(self) -> float:
        return self._root(-Z)

    def _root(self, quantile: float) -> float:
        """Clamped to where the two samples do not overlap any more."""
        if self._shifted(self._least, quantile) <= 0:
            return self._least
        if self._shifted(self._most, quantile) >= 0:
            return self._most
        return float(brentq(self._shifted, self._least, self._most, args=(quantile,), xtol=ROOT_WITHIN, maxiter=1000))


class _Shift:
    """How far the rank sum is from what is expected, in standard deviations, after the experiment moved by -mu."""

    def __init__(self, experiment: Array, control: Array) -> None:
        self._experiment, self._control = np.sort(experiment), np.sort(control)
        self._m, self._n = len(experiment), len(control)
        self._sigma_apart = self._sigma(_ties(self._experiment) + _ties(self._control))

    def __call__(self, mu: float, quantile: float) -> float:
        moved = self._experiment - mu
        below = self._control.searchsorted(moved, side="left")
        upto = self._control.searchsorted(moved, side="right")
        distance = (int(below.sum()) + int(upto.sum()) - self._m * self._n) / 2.0
        meet = (below != upto).any()
        sigma = self._sigma(_ties(np.sort(np.concatenate((moved, self._control))))) if meet else self._sigma_apart
        return (distance - math.copysign(0.5, distance) * (distance != 0)) / sigma - quantile

    def _sigma(self, ties: float) -> float:
        m, n = self._m, self._n
        return max(1e-12, math.sqrt(m * n / 12.0 * (m + n + 1 - ties / ((m + n) * (m + n - 1)))))


def _ties(ordered: Array) -> float:
    """The sum of t^3 - t over groups of equal values."""
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    sizes = np.diff(ends, prepend=-1).astype(float)
    return float((sizes**3 - sizes).sum())


def classify(
    experiment: Array, control: Array, direction: str = "increase", chance: np.random.Generator | None = None
) -> str:
    """The judge's word on one metric; NaN are removed, outliers kept (the defaults)."""
    experiment, control = experiment[~np.isnan(experiment)], control[~np.isnan(control)]
    if not len(experiment) or not len(control):
        return NODATA
    same = len(experiment) == len(control) and bool((np.sort(experiment) == np.sort(control)).all())
    if same or len(np.unique(np.concatenate((experiment, control)))) == 1:
        return PASS
    if np.ptp(experiment) == 0 and np.ptp(control) == 0:
        chance = chance or np.random.default_rng(0)
        experiment, control = (
            values + chance.normal(0, 1, len(values)) * values * 1e-5 for values in (experiment, control)
        )
    found = Comparison(experiment, control)
    # An effect that is not a number (a mean of 0) passes the test of its size, whose limit is 1.0.
    ratio = experiment.mean() / control.mean() if experiment.mean() and control.mean() else float("nan")
    if direction in ("increase", "either") and not ratio < 1.0 and found.may_be_higher:
        low = found.low
        if low > 0 and low > TOLERANCE * abs(found.estimate):
            return HIGH
    if direction in ("decrease", "either") and not ratio > 1.0:
        high = found.high
        if high < 0 and high < -TOLERANCE * abs(found.estimate):
            return LOW
    return PASS


def score(words: Sequence[str]) -> float:
    """Of one group of metrics, in per cent; half of them without data: 0."""
    nodata = sum(word == NODATA for word in words)
    if 2 * nodata >= len(words):
        return 0.0
    return 100.0 * sum(word == PASS for word in words) / (len(words) - nodata)


@dataclass(frozen=True, slots=True)
class Kayenta:
    """A standalone analysis of the error rate: a point a minute of the candidate and of a baseline of its age, judged
    at every interval on all points so far; a score up to `marginal_pct` fails at once, at the end one below
    `pass_pct`."""

    name: str
    interval_s: float
    lifetime_s: float
    marginal_pct: float = 75.0
    pass_pct: float = 95.0
    step_s: float = 60.0
    promotes_without_data: bool = False

    def rolled_back_s(self, series: Series) -> Array:
        minutes = series.every(self.step_s)
        candidate, baseline = minutes.candidate.error_pct, minutes.baseline.error_pct
        each = round(self.interval_s / self.step_s)
        looks = range(each, min(candidate.shape[1], round(self.lifetime_s / self.step_s)) + 1, each)
        return np.array([self._row(candidate[row], baseline[row], looks) for row in range(series.rollouts)])

    def _row(self, candidate: Array, baseline: Array, looks: range) -> float:
        for points in looks:
            reached = score([classify(candidate[:points], baseline[:points])])
            last = points == looks[-1]
            if reached <= self.marginal_pct or (last and reached < self.pass_pct):
                return points * self.step_s
        return float("inf")
