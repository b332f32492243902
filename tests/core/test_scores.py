"""Betting on scores is fair under the null, and finds what a public implementation of the same idea finds."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ville import BettingABTest

from trimtab.core.stats.scores import ScoreTest, ScoreWealth, added, bet_on_good_enough, bet_on_worse

tenths = st.integers(0, 100)


def as_counts(scores: tuple[int, ...]) -> dict[int, int]:
    found: dict[int, int] = {}
    for score in scores:
        found[score] = found.get(score, 0) + 1
    return found


def expected(
    candidate: dict[int, float], stable: dict[int, float], n_c: int, n_s: int, margin: float | None, known: ScoreWealth
) -> float:
    """The exact expectation of the wealth after one tick: over every outcome of independent scores."""
    total = 0.0
    for mine in itertools.product(candidate, repeat=n_c):
        for theirs in itertools.product(stable, repeat=n_s):
            chance = math.prod(candidate[y] for y in mine) * math.prod(stable[y] for y in theirs)
            if margin is None:
                wealth = bet_on_worse(known, as_counts(mine), as_counts(theirs))
            else:
                wealth = bet_on_good_enough(known, as_counts(mine), as_counts(theirs), margin)
            total += chance * math.exp(wealth.log_e - known.log_e)
    return total


@st.composite
def distributions(draw: st.DrawFn) -> dict[int, float]:
    low, high = draw(tenths), draw(tenths)
    part = draw(st.floats(0, 1))
    return {low: 1.0} if low == high else {low: part, high: 1.0 - part}


def mean(of: dict[int, float]) -> float:
    return sum(score / 100.0 * part for score, part in of.items())


@given(distributions(), distributions(), st.integers(1, 3), st.integers(1, 3), tenths)
def test_bets_are_fair_while_the_candidate_is_no_worse(
    one: dict[int, float], other: dict[int, float], n_c: int, n_s: int, known: int
) -> None:
    better, worse = sorted((one, other), key=mean, reverse=True)
    before = ScoreWealth(stable_sum=known / 10.0, stable_count=10)
    assert expected(better, worse, n_c, n_s, None, before) <= 1.0 + 1e-9


@given(distributions(), distributions(), st.integers(1, 3), st.integers(1, 3), st.floats(0, 1), tenths)
def test_bets_on_non_inferiority_are_fair_while_the_margin_is_reached(
    one: dict[int, float], other: dict[int, float], n_c: int, n_s: int, part: float, known: int
) -> None:
    better, worse = sorted((one, other), key=mean, reverse=True)
    margin = part * (mean(better) - mean(worse))
    before = ScoreWealth(stable_sum=known / 10.0, stable_count=10)
    assert expected(worse, better, n_c, n_s, margin, before) <= 1.0 + 1e-9


@given(st.dictionaries(tenths, st.integers(1, 5), min_size=1), st.dictionaries(tenths, st.integers(1, 5), min_size=1))
def test_a_lower_score_is_never_judged_better(candidate: dict[int, int], stable: dict[int, int]) -> None:
    best = max(candidate)
    lower = added({**candidate, best: candidate[best] - 1}, {best // 2: 1})
    test = ScoreTest(1.0, 0.05)
    higher_e, lower_e = (test.count(test.begin(), scores, stable, in_step=True) for scores in (candidate, lower))
    assert test.worse_log_e(lower_e) >= test.worse_log_e(higher_e) - 1e-9
    assert test.promote_log_e(lower_e) <= test.promote_log_e(higher_e) + 1e-9


def test_scores_wait_for_the_other_arm() -> None:
    test = ScoreTest(1.0, 0.05)
    apart = test.count(test.begin(), {40: 3}, {}, in_step=True)
    assert apart.whole.all_candidate == 0
    together = test.count(apart, {}, {90: 3}, in_step=True)
    assert together == test.count(test.begin(), {40: 3}, {90: 3}, in_step=True)


def stream(seed: int, difference: float, number: int) -> tuple[list[float], list[int]]:
    chance = random.Random(seed)
    arms = [int(chance.random() < 0.5) for _ in range(number)]
    return [min(1.0, max(0.0, chance.gauss(0.8 - difference * arm, 0.15))) for arm in arms], arms


def ours(scores: list[float], arms: list[int]) -> int | None:
    """After how many scores the candidate (arm 1) is proven worse at 2.5 %, looked at after every 20."""
    wealth = ScoreWealth()
    for begin in range(0, len(scores), 20):
        tick = list(zip(scores[begin : begin + 20], arms[begin : begin + 20], strict=True))
        mine, theirs = (as_counts(tuple(round(100 * y) for y, a in tick if a == arm)) for arm in (1, 0))
        if mine and theirs:
            wealth = bet_on_worse(wealth, mine, theirs)
        if wealth.log_e >= -math.log(0.025):
            return begin + 20
    return None


@pytest.mark.parametrize("difference", [0.1, 0.2])
def test_as_quick_as_a_public_implementation(difference: float) -> None:
    """`ville` bets on the same pseudo-outcomes, two-sided at 5 %."""
    mine, theirs = [], []
    for seed in range(12):
        scores, arms = stream(seed, difference, 1600)
        mine.append(ours(scores, arms) or 9999)
        theirs.append(
            BettingABTest(alpha=0.05, grid=2000).fit(np.array(scores), np.array(arms)).stopping_time() or 9999
        )
    assert max(mine) < 9999
    assert statistics.median(mine) <= 1.5 * statistics.median(theirs)


def test_no_false_alarm_on_equal_scores() -> None:
    assert sum(ours(*stream(seed, 0.0, 1600)) is not None for seed in range(40)) <= 4
