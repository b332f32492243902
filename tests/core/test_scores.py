"""Betting on scores is fair under the null, and finds what a public implementation of the same idea finds."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ville import BettingABTest

from tests.core.games import as_counts, most_that_can_be_won, scores_tick
from trimtab.core.stats.eprocess import Counts, worse_than_stable
from trimtab.core.stats.scores import (
    BETS,
    ScoreCounts,
    Scored,
    ScoreTest,
    ScoreWealth,
    added,
    bet_on_good_enough,
    bet_on_worse,
)

tenths = st.integers(0, 100)


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


# --- fair, whatever the rule for stopping -----------------------------------------------------------------------------

Outcome = tuple[dict[int, int], dict[int, int]]
EQUAL = [
    scores_tick({0: 0.5, 100: 0.5}, {0: 0.5, 100: 0.5}, 1, 1),
    scores_tick({80: 1.0}, {60: 0.5, 100: 0.5}, 1, 2),
    scores_tick({20: 0.9, 90: 0.1}, {0: 0.8, 90: 0.2}, 2, 1),
]
"""The candidate's mean is no lower: the same, the same with less variance, higher."""


def test_no_rule_for_stopping_proves_worse_what_is_no_worse() -> None:
    """Both bets that look for harm, averaged; every tick is chosen for what came before."""
    test = ScoreTest(1.0, 0.05)

    def after(scored: Scored, outcome: Outcome) -> Scored:
        return test.enter_step(test.count(scored, *outcome, in_step=True))

    won = most_that_can_be_won(
        test.begin(), lambda scored: math.exp(test.worse_log_e(scored)), after, EQUAL[:2], rounds=3
    )
    assert won <= 1.0 + 1e-9
    won = most_that_can_be_won(test.begin(), lambda scored: math.exp(test.worse_log_e(scored)), after, EQUAL, rounds=2)
    assert won <= 1.0 + 1e-9


def test_no_rule_for_stopping_promotes_what_is_not_good_enough() -> None:
    """Below the stable mean by the margin of 0.1; the step may begin again before every tick."""
    test = ScoreTest(1.0, 0.1)
    worse = [
        scores_tick({0: 0.6, 100: 0.4}, {0: 0.5, 100: 0.5}, 1, 1),
        scores_tick({70: 1.0}, {60: 0.5, 100: 0.5}, 1, 2),
    ]

    def after(scored: Scored, outcome: tuple[bool, Outcome]) -> Scored:
        again, came = outcome
        return test.count(test.begin_again(scored) if again else scored, *came, in_step=True)

    choices = [[(chance, (again, came)) for chance, came in every] for every in worse for again in (False, True)]
    won = most_that_can_be_won(
        test.begin(), lambda scored: math.exp(test.promote_log_e(scored)), after, choices, rounds=2
    )
    assert won <= 1.0 + 1e-9


def test_at_the_margin_nothing_is_given_away() -> None:
    """A tick of one score on each arm at the boundary is worth 1 exactly to first order: the bets use the margin, not
    more of it."""
    known = ScoreWealth(stable_sum=5.0, stable_count=10)
    worth = expected({0: 0.6, 100: 0.4}, {0: 0.5, 100: 0.5}, 1, 1, 0.1, known)
    smaller = expected({0: 0.6, 100: 0.4}, {0: 0.5, 100: 0.5}, 1, 1, 0.2, known)
    assert 0.9 < worth <= 1.0
    assert smaller > 1.0


# --- the same as another way to compute it ----------------------------------------------------------------------------

some_scores = st.dictionaries(tenths, st.integers(1, 4), min_size=1, max_size=4)
margins = st.one_of(st.none(), st.floats(0.0, 0.3))


def product(candidate: ScoreCounts, stable: ScoreCounts, middle: Fraction, margin: float | None) -> Fraction:
    """The mean over the bets of prod(1 + lambda X), as fractions."""
    n_c, n_s = sum(candidate.values()), sum(stable.values())
    pi, delta = Fraction(n_c, n_c + n_s), Fraction(margin or 0.0)
    sign = 1 if margin is None else -1
    xs = [sign * -(Fraction(y, 100) - middle) / pi - sign * delta for y, n in candidate.items() for _ in range(n)]
    xs += [sign * (Fraction(y, 100) - middle) / (1 - pi) - sign * delta for y, n in stable.items() for _ in range(n)]
    largest = 1 / (max(1 / pi, 1 / (1 - pi)) + delta)
    wealth = [math.prod((1 + Fraction(part) * largest * x for x in xs), start=Fraction(1)) for part in BETS]
    return Fraction(sum(wealth, Fraction(0)), len(BETS))


@given(some_scores, some_scores, st.integers(0, 10), margins)
@settings(max_examples=40)
def test_the_wealth_is_the_product_that_the_formula_says(
    candidate: dict[int, int], stable: dict[int, int], known: int, margin: float | None
) -> None:
    before = ScoreWealth(stable_sum=known / 10.0, stable_count=1)
    wealth = product(candidate, stable, Fraction(known / 10.0), margin)
    if margin is None:
        found = bet_on_worse(before, candidate, stable)
    else:
        found = bet_on_good_enough(before, candidate, stable, margin)
    assert found.log_e == pytest.approx(math.log(wealth), rel=1e-9, abs=1e-9)
    assert found.stable_count == 1 + sum(stable.values())
    assert found.stable_sum == pytest.approx(known / 10.0 + sum(y / 100.0 * n for y, n in stable.items()))


@given(some_scores, some_scores, some_scores, some_scores)
def test_the_middle_is_the_stable_mean_before_the_tick(
    first: dict[int, int], first_stable: dict[int, int], then: dict[int, int], then_stable: dict[int, int]
) -> None:
    """Known before what is judged by it; at the very first 0.5."""
    one = bet_on_worse(ScoreWealth(), first, first_stable)
    assert one.log_e == pytest.approx(math.log(product(first, first_stable, Fraction(1, 2), None)), abs=1e-9)
    middle = Fraction(sum(y * n for y, n in first_stable.items()), 100 * sum(first_stable.values()))
    two = bet_on_worse(ScoreWealth(stable_sum=one.stable_sum, stable_count=one.stable_count), then, then_stable)
    assert two.log_e == pytest.approx(math.log(product(then, then_stable, middle, None)), abs=1e-9)


@given(some_scores, some_scores, margins)
def test_the_other_arm_sees_the_same_in_a_mirror(
    candidate: dict[int, int], stable: dict[int, int], margin: float | None
) -> None:
    """With the arms' names swapped and every score turned upside down."""

    def turned(scores: dict[int, int]) -> dict[int, int]:
        return {100 - score: n for score, n in scores.items()}

    def log_e(mine: dict[int, int], theirs: dict[int, int]) -> float:
        if margin is None:
            return bet_on_worse(ScoreWealth(), mine, theirs).log_e
        return bet_on_good_enough(ScoreWealth(), mine, theirs, margin).log_e

    assert log_e(candidate, stable) == pytest.approx(log_e(turned(stable), turned(candidate)), rel=1e-9, abs=1e-9)


@given(some_scores, some_scores)
def test_both_ways_to_look_for_harm_share_the_wealth(candidate: dict[int, int], stable: dict[int, int]) -> None:
    test = ScoreTest(1.0, 0.05)
    after = test.count(test.begin(), candidate, stable, in_step=True)
    bets, collapse = math.exp(after.worse.log_e), math.exp(worse_than_stable().log_e(after.collapse))
    assert math.exp(test.worse_log_e(after)) == pytest.approx((bets + collapse) / 2.0)
    mine, theirs = (sum((100 - score) * n for score, n in arm.items()) / 100.0 for arm in (candidate, stable))
    tick = Counts(sum(candidate.values()), mine, sum(stable.values()), theirs)
    assert dataclasses.astuple(after.whole) == pytest.approx(dataclasses.astuple(tick))
    assert after.collapse == pytest.approx(worse_than_stable().update(worse_than_stable().start(), tick))
    assert after.whole == after.step


# --- what must hold whatever comes ------------------------------------------------------------------------------------


@given(some_scores, some_scores, st.lists(some_scores, max_size=2))
def test_one_better_or_worse_score_moves_the_evidence_the_right_way(
    candidate: dict[int, int], stable: dict[int, int], before: list[dict[int, int]]
) -> None:
    test = ScoreTest(1.0, 0.05)
    start = test.begin()
    for scores in before:
        start = test.count(start, scores, scores, in_step=True)
    scored = {
        number: test.count(start, added(candidate, {number: 1}), stable, in_step=True) for number in range(0, 101, 20)
    }
    worse = [test.worse_log_e(found) for found in scored.values()]
    good = [test.promote_log_e(found) for found in scored.values()]
    assert all(one >= other - 1e-9 for one, other in itertools.pairwise(worse))
    assert all(one <= other + 1e-9 for one, other in itertools.pairwise(good))
    theirs = [test.count(start, candidate, added(stable, {number: 1}), in_step=True) for number in range(0, 101, 20)]
    assert all(test.worse_log_e(one) <= test.worse_log_e(other) + 1e-9 for one, other in itertools.pairwise(theirs))


@given(st.lists(st.tuples(some_scores, some_scores, st.booleans()), min_size=1, max_size=6))
def test_what_waits_is_never_lost_and_proves_only_what_came_in_the_step(
    ticks: list[tuple[dict[int, int], dict[int, int], bool]],
) -> None:
    """Scores of both arms in turns; in the step or before it."""
    test, scored = ScoreTest(1.0, 0.05), ScoreTest(1.0, 0.05).begin()
    pure = True
    for mine, theirs, in_step in ticks:
        proven = scored.step.all_candidate
        scored = test.count(scored, mine, {}, in_step=in_step)
        scored = test.count(scored, {}, {}, in_step=not in_step)
        pure = in_step
        scored = test.count(scored, {}, theirs, in_step=True)
        assert scored.step.all_candidate == proven + (sum(mine.values()) if pure else 0)
    assert scored.whole.all_candidate == sum(sum(mine.values()) for mine, _, _ in ticks)
    assert scored.whole.all_stable == sum(sum(theirs.values()) for _, theirs, _ in ticks)


def test_what_waited_when_a_step_began_proves_nothing_in_it() -> None:
    test = ScoreTest(1.0, 0.05)
    waiting = test.enter_step(test.count(test.begin(), {90: 5}, {}, in_step=True))
    mixed = test.count(waiting, {}, {50: 5}, in_step=True)
    assert (mixed.step.all_candidate, mixed.whole.all_candidate) == (0, 5)
    assert mixed.good_enough == waiting.good_enough
    assert test.count(mixed, {90: 5}, {50: 5}, in_step=True).step.all_candidate == 5


@given(some_scores, some_scores)
def test_a_step_begins_with_what_is_known_of_the_stable_release_and_no_proof(
    candidate: dict[int, int], stable: dict[int, int]
) -> None:
    test = ScoreTest(1.0, 0.05)
    before = test.count(test.begin(), candidate, stable, in_step=True)
    entered = test.enter_step(before)
    assert test.promote_log_e(entered) == pytest.approx(0.0, abs=1e-12)
    assert entered.good_enough.stable_count == sum(stable.values())
    assert (entered.worse, entered.collapse, entered.whole) == (before.worse, before.collapse, before.whole)
    again = test.begin_again(before)
    assert again.good_enough.logs == tuple(min(0.0, log_e) for log_e in before.good_enough.logs)
    assert (again.worse, again.whole) == (before.worse, before.whole)


@pytest.mark.parametrize("ticks", [1, 500])
@pytest.mark.parametrize(("mine", "theirs"), [(0, 100), (100, 0), (100, 100), (0, 0), (79, 80)])
def test_nothing_overflows_at_a_billion_scores_in_one_tick_or_many(ticks: int, mine: int, theirs: int) -> None:
    test = ScoreTest(1.0, 0.03)
    scored = test.begin()
    for part in (1, 99):  # an even split, and one of 1 to 99
        for _ in range(ticks):
            scored = test.count(scored, {mine: 10**9 // ticks}, {theirs: part * 10**9 // ticks}, in_step=True)
    assert math.isfinite(test.worse_log_e(scored))
    assert math.isfinite(test.promote_log_e(scored))
