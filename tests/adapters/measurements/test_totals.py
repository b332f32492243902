"""Totals never fall, never stop for good, and invent nothing."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.measurements.totals import STEADY, Totals
from trimtab.core.model.measure import ArmMeasure

ARM, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Source:
    """Totals of one arm, read each second."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.now = 1000.0

    def say(self, bad: float, every: float = 0.0, at: float | None = None, other: float = 0.0) -> tuple[float, bool]:
        """The arm's bad events after the reading, and whether it was taken."""
        self.now += 1
        arms = {ARM: ArmMeasure(bad, every), OTHER: ArmMeasure(other)}
        problem = self.totals.take(arms, at, self.now)
        if problem is not None:
            self.totals.fail(problem)
        return self.totals.measurement.arms[ARM].bad, problem is None


def test_a_gap_counts_nothing_twice() -> None:
    source = Source()
    assert source.say(100) == (100, True)
    assert source.say(60) == (100, False)
    assert source.say(61) == (100, False)
    assert source.say(106) == (106, True)


def test_a_counter_that_began_anew_counts_on() -> None:
    source = Source()
    source.say(100)
    for reading in range(STEADY - 1):
        assert source.say(reading) == (100, False)
    assert source.say(5) == (100, True)
    assert source.say(7) == (102, True)
    assert source.say(7) == (102, True)


def test_a_counter_that_falls_again_and_again_waits() -> None:
    source = Source()
    source.say(100)
    for reading in (50, 40, 30, 31, 20, 21):
        assert source.say(reading) == (100, False)
    assert source.say(22) == (100, True)


def test_a_metric_moves_as_a_whole() -> None:
    source = Source()
    source.say(10, other=10)
    source.say(20, other=5)
    assert source.totals.measurement.arms == {ARM: ArmMeasure(10), OTHER: ArmMeasure(10)}


def test_rounding_is_no_fall() -> None:
    source = Source()
    source.say(0.1 + 0.2)
    assert source.say(0.3) == (0.1 + 0.2, True)


def test_a_problem_says_what_fell() -> None:
    totals = Totals()
    totals.take({ARM: ArmMeasure(scores={90: 2})}, None, 1.0)
    problem = totals.take({ARM: ArmMeasure(scores={80: 2})}, None, 2.0)
    assert problem is not None
    assert problem.code == "metric-went-back"
    assert problem.message == "a total went back: the count of scores of 90 % of release aaaaaaaaaaaa from 2 to 0"


def test_a_failed_reading_keeps_the_age() -> None:
    source = Source()
    source.say(5)
    before = source.totals.measurement.as_of
    source.say(4)
    assert source.totals.measurement.as_of == before


@pytest.mark.parametrize(("at", "as_of"), [(None, 1001), (990.0, 990), (5000.0, 1001), (math.nan, 1001)])
def test_the_age_is_the_sources_and_never_of_the_future(at: float | None, as_of: float) -> None:
    source = Source()
    source.say(1, at=at)
    assert source.totals.measurement.as_of == as_of


def test_time_never_goes_back() -> None:
    source = Source()
    source.say(1, at=995)
    source.say(2, at=990)
    assert source.totals.measurement.as_of == 995
    assert source.totals.measurement.arms[ARM].bad == 2


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_totals_only_grow_and_never_faster_than_the_source(readings: list[int]) -> None:
    source = Source()
    totals = [source.say(reading)[0] for reading in readings]
    assert totals == sorted(totals)
    gained = readings[0] + sum(max(0, after - before) for before, after in pairwise(readings))
    assert totals[-1] <= gained


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), st.integers(0, 20))
def test_a_source_that_only_grows_from_now_on_is_counted_soon(readings: list[int], start: int) -> None:
    source = Source()
    for reading in readings:
        source.say(reading)
    taken = [source.say(start + step)[1] for step in range(STEADY)]
    assert taken[-1]
    before = source.totals.measurement.arms[ARM].bad
    assert source.say(start + STEADY) == (before + 1, True)
