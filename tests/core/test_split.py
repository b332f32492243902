"""Shares that are not as they should be are found, and only those."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gammaln

from tests.core.games import binomial, most_that_can_be_won
from trimtab.core.stats.evidence import SplitTick
from trimtab.core.stats.split import ALPHA, ODDS, Split, update

part = st.floats(0.01, 0.99)


@given(st.integers(0, 12), part, part)
def test_the_evidence_is_fair_while_the_split_is_as_it_should_be(number: int, first: float, then: float) -> None:
    """Whatever came before: the expected factor of a tick is 1."""
    before = update(Split(), [SplitTick(3, 5, first)])
    gained = sum(
        math.comb(number, k)
        * then**k
        * (1 - then) ** (number - k)
        * math.exp(update(before, [SplitTick(k, number - k, then)]).log_e - before.log_e)
        for k in range(number + 1)
    )
    assert gained == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=10), part)
def test_the_names_of_the_arms_do_not_matter(ticks: list[tuple[int, int]], expected: float) -> None:
    one = update(Split(), [SplitTick(a, b, expected) for a, b in ticks])
    other = update(Split(), [SplitTick(b, a, 1 - expected) for a, b in ticks])
    assert one.log_e == pytest.approx(other.log_e)


@pytest.mark.parametrize(("expected", "real"), [(0.05, 0.08), (0.5, 0.45), (0.1, 0.02), (0.05, 0.5)])
def test_a_wrong_share_is_found(expected: float, real: float) -> None:
    chance, split = random.Random(4), Split()
    for _ in range(200):
        arrived = sum(chance.random() < real for _ in range(100))
        split = update(split, [SplitTick(arrived, 100 - arrived, expected)])
    assert split.broken


def test_a_right_share_is_left_alone_while_it_rises() -> None:
    chance, broken = random.Random(5), 0
    for _ in range(100):
        split = Split()
        for minute in range(60):
            expected = 0.05 + 0.45 * minute / 60
            arrived = sum(chance.random() < expected for _ in range(100))
            split = update(split, [SplitTick(arrived, 100 - arrived, expected)])
        broken += split.broken
    assert broken <= 2


def test_what_was_broken_stays_so() -> None:
    broken = update(Split(), [SplitTick(100, 0, 0.5)])
    assert broken.broken
    assert update(broken, [SplitTick(0, 100, 0.5)]).broken


def test_no_overflow_at_a_billion_arrivals() -> None:
    assert math.isfinite(update(Split(), [SplitTick(10**9, 10**9, 0.05)]).log_e)


def test_no_rule_for_stopping_breaks_a_sound_split() -> None:
    """Shares that are chosen, tick by tick, for what came before; more arrivals or fewer."""
    ticks = [
        [(binomial(number, k, expected), SplitTick(k, number - k, expected)) for k in range(number + 1)]
        for number, expected in ((1, 0.5), (3, 0.05), (2, 0.9))
    ]
    won = most_that_can_be_won(
        Split(), lambda split: math.exp(split.log_e), lambda split, tick: update(split, [tick]), ticks, rounds=4
    )
    assert won == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), part), min_size=1, max_size=4))
@settings(max_examples=30)
def test_the_wealth_is_the_product_that_the_formula_says(ticks: list[tuple[int, int, float]]) -> None:
    total = Fraction(0)
    for odds in map(Fraction, ODDS):
        wealth = Fraction(1)
        for candidate, stable, expected in ticks:
            p = Fraction(expected)
            q = odds * p / (1 - p + odds * p)
            wealth *= (q / p) ** candidate * ((1 - q) / (1 - p)) ** stable
        total += wealth / len(ODDS)
    log_e = math.log(total.numerator) - math.log(total.denominator)
    assert update(Split(), [SplitTick(*tick) for tick in ticks]).log_e == pytest.approx(log_e, rel=1e-9, abs=1e-9)


def test_it_is_broken_at_one_in_a_thousand() -> None:
    arrival = [SplitTick(1, 0, 0.5)]
    one_by_one = list(itertools.accumulate(range(40), lambda split, _: update(split, arrival), initial=Split()))
    assert [split.broken for split in one_by_one] == [split.log_e >= math.log(1000.0) for split in one_by_one]
    assert any(math.log(100.0) < split.log_e < math.log(1000.0) for split in one_by_one)


def g_test(candidate: int, stable: int, expected: float) -> tuple[float, float]:
    """Statistic and p-value of scipy's likelihood ratio test."""
    every = candidate + stable
    found = stats.power_divergence(
        [candidate, stable], [every * expected, every * (1.0 - expected)], lambda_="log-likelihood"
    )
    return float(found.statistic), float(found.pvalue)


@given(st.integers(0, 400), st.integers(0, 400), part)
def test_no_more_evidence_than_the_largest_likelihood_ratio(candidate: int, stable: int, expected: float) -> None:
    if candidate + stable == 0:
        return
    split = update(Split(), [SplitTick(candidate, stable, expected)])
    statistic, p_value = g_test(candidate, stable, expected)
    assert split.log_e <= statistic / 2.0 + 1e-6
    # Who may look at any time needs more than who looks once.
    assert not split.broken or p_value < ALPHA


def dirichlet(candidate: int, stable: int, expected: float, mass: float = 100.0) -> float:
    """Lindon & Malek (2022) in closed form: the log e-value of a Dirichlet mixture over the shares."""
    a, b = mass * expected, mass * (1.0 - expected)

    def log_beta(x: float, y: float) -> float:
        return float(gammaln(x) + gammaln(y) - gammaln(x + y))

    at_null = candidate * math.log(expected) + stable * math.log(1.0 - expected)
    return log_beta(a + candidate, b + stable) - log_beta(a, b) - at_null


@pytest.mark.parametrize(("expected", "real"), [(0.05, 0.065), (0.5, 0.45), (0.1, 0.05), (0.25, 0.3), (0.05, 0.5)])
def test_as_quick_as_a_dirichlet_mixture(expected: float, real: float) -> None:
    """The same arrivals, looked at after every 50: the median number until each is sure."""
    ours, theirs = [], []
    for seed in range(21):
        chance, split, candidate, stable = random.Random(seed), Split(), 0, 0
        mine = closed = 0
        while not (mine and closed) and candidate + stable < 60_000:
            arrived = sum(chance.random() < real for _ in range(50))
            candidate, stable = candidate + arrived, stable + 50 - arrived
            split = update(split, [SplitTick(arrived, 50 - arrived, expected)])
            mine = mine or split.broken * (candidate + stable)
            closed = closed or (dirichlet(candidate, stable, expected) >= -math.log(ALPHA)) * (candidate + stable)
        ours.append(mine or 10**9)
        theirs.append(closed or 10**9)
    assert max(ours) < 10**9
    assert sorted(ours)[10] <= 1.5 * sorted(theirs)[10] + 50


@given(st.integers(1, 300), part)
def test_the_evidence_grows_with_the_distance_from_what_was_expected(every: int, expected: float) -> None:
    """As a function of the candidate's arrivals it has one valley, around what was expected."""
    log_es = [update(Split(), [SplitTick(k, every - k, expected)]).log_e for k in range(every + 1)]
    steps = [after - before for before, after in itertools.pairwise(log_es)]
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(steps))
    assert log_es.index(min(log_es)) in range(
        max(0, math.floor(every * expected) - 1 - every // 20), math.ceil(every * expected) + 2 + every // 20
    )


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), part), max_size=6))
def test_ticks_may_come_in_any_order_and_any_size(ticks: list[tuple[int, int, float]]) -> None:
    arrivals = [SplitTick(*tick) for tick in ticks]
    one, other = update(Split(), arrivals), update(Split(), arrivals[::-1])
    assert one.log_e == pytest.approx(other.log_e, abs=1e-9)
    assert (one.candidate, one.stable) == (other.candidate, other.stable)
    assert one.expected == pytest.approx(sum((a + b) * p for a, b, p in ticks))
    single = [SplitTick(a, 0, p) for a, _, p in ticks] + [SplitTick(0, b, p) for _, b, p in ticks]
    assert update(Split(), single).log_e == pytest.approx(one.log_e, abs=1e-9)


@pytest.mark.parametrize("ticks", [1, 1000])
@pytest.mark.parametrize(("candidate", "expected"), [(0.05, 0.05), (0.0, 0.05), (1.0, 0.05), (0.5, 0.9999)])
def test_no_overflow_however_a_billion_arrivals_come(ticks: int, candidate: float, expected: float) -> None:
    each = 10**9 // ticks
    arrived = int(each * candidate)
    split = update(Split(), [SplitTick(arrived, each - arrived, expected)] * ticks)
    assert math.isfinite(split.log_e)
    assert split.candidate + split.stable == 10**9
    assert split.broken is (candidate != expected)
