"""Totals that never fall, whatever a source says.

When a number is lower than before, the source may have begun anew (a restarted process counts from 0), or it has a gap
(one of several processes was not read). Nothing tells the two apart at once, so the totals stay as they are and a
Problem says why, until one of these comes:

- The numbers are back where they were, or above: it was a gap. They count as they are.
- `STEADY` readings in a row are below, none lower than the one before: it has begun anew. What is gained from the last
  of them on is added to the totals. What came in between is lost, on both arms alike, so that none is favoured.

A metric moves as a whole: when one of its numbers falls, none of them counts. A gap that is longer than `STEADY`
readings is taken for a new beginning, and what then returns counts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from trimtab.core.errors import Problem
from trimtab.core.model.identity import ArmId, short
from trimtab.core.model.measure import ArmMeasure, Measurement

STEADY = 3
"""After so many readings that are lower than before a counter has begun anew."""
_ROUNDING = 1e-9

Arms = Mapping[ArmId, ArmMeasure]


@dataclass(slots=True)
class Totals:
    """What one metric has counted, from all its readings."""

    measurement: Measurement = field(default_factory=Measurement)
    _level: Arms = field(default_factory=dict)
    """The source's own numbers when they last counted."""
    _offset: Arms = field(default_factory=dict)
    """What the totals are above the source's numbers, since it began anew."""
    _low: Arms = field(default_factory=dict)
    _steady: int = 0

    def take(self, arms: Arms, at: float | None, now: float) -> Problem | None:
        """A reading; what is wrong with it. `at`: when it was true (seconds since the epoch); None and a time after
        `now` are now."""
        as_of = max(self.measurement.as_of, now if at is None or not at < now else at)
        fallen = _fallen(arms, self._level)
        if not fallen:
            counted = _combine(arms, self._offset, lambda new, offset: new + offset)
            kept = _combine(counted, self.measurement.arms, max)
            self._level, self._steady = arms, 0
            self.measurement = Measurement(kept, as_of)
            return None
        self._steady = self._steady + 1 if self._steady and not _fallen(arms, self._low) else 1
        self._low = arms
        if self._steady < STEADY:
            return _went_back(fallen)
        self._offset = _combine(self.measurement.arms, arms, lambda total, new: total - new)
        self._level, self._steady = arms, 0
        self.measurement = Measurement(self.measurement.arms, as_of)
        return None

    def fail(self, problem: Problem) -> None:
        """A reading that gave nothing: the totals stay, and their age."""
        self.measurement = replace(self.measurement, problem=problem)


def _went_back(fallen: str) -> Problem:
    hint = f"give totals that only grow; if a counter began anew, it counts again after {STEADY} readings"
    return Problem("metric-went-back", f"a total went back: {fallen}", hint)


def _fallen(now: Arms, then: Arms) -> str:
    """The first number that is lower than it was, in words; empty when there is none."""
    for arm, before in then.items():
        numbers, earlier = _numbers(now.get(arm, ArmMeasure())), _numbers(before)
        for name, number in earlier.items():
            if numbers.get(name, 0.0) < number - _ROUNDING * max(1.0, number):
                change = f"from {number:.15g} to {numbers.get(name, 0.0):.15g}"
                return f"{name} of release {short(arm)} {change}"
    return ""


def _numbers(measure: ArmMeasure) -> dict[str, float]:
    scores = {f"the count of scores of {score} %": float(count) for score, count in measure.scores.items()}
    return {"bad": measure.bad, "all": measure.all, **scores}


def _combine(left: Arms, right: Arms, by: Callable[[float, float], float]) -> dict[ArmId, ArmMeasure]:
    """Both, number by number; what is missing is 0."""
    return {arm: _combined(left.get(arm, ArmMeasure()), right.get(arm, ArmMeasure()), by) for arm in {**left, **right}}


def _combined(left: ArmMeasure, right: ArmMeasure, by: Callable[[float, float], float]) -> ArmMeasure:
    scores = {
        score: round(by(left.scores.get(score, 0), right.scores.get(score, 0)))
        for score in sorted({*left.scores, *right.scores})
    }
    return ArmMeasure(by(left.bad, right.bad), by(left.all, right.all), scores)
