"""The e-processes keep their promise: worth at most 1 on average under the null, whatever the tick looks like."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.stats.eprocess import (
    Counts,
    EventShareMixture,
    RateBeyond,
    log_mean,
    rate_above,
    rate_below,
    within_margin,
    worse_than_stable,
)

rates = st.floats(0.0, 1.0)
sizes = st.integers(0, 7)


def binomial(n: int, k: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1.0 - p) ** (n - k)


def expected_wealth(test: EventShareMixture | RateBeyond, n_c: int, p_c: float, n_s: int, p_s: float) -> float:
    """The exact expectation of the wealth after one tick, over everything that can happen in it."""
    return sum(
        binomial(n_c, k_c, p_c)
        * binomial(n_s, k_s, p_s)
        * math.exp(test.log_e(test.update(test.start(), Counts(n_c, k_c, n_s, k_s))))
        for k_c in range(n_c + 1)
        for k_s in range(n_s + 1)
    )


@given(n_c=sizes, n_s=sizes, p_s=rates, fraction=rates)
def test_rollback_evidence_is_fair_while_the_candidate_is_no_worse(
    n_c: int, n_s: int, p_s: float, fraction: float
) -> None:
    assert expected_wealth(worse_than_stable(), n_c, fraction * p_s, n_s, p_s) <= 1.0 + 1e-9


@given(n_c=sizes, n_s=sizes, p_s=rates, excess=st.floats(1.0, 3.0), margin=st.floats(1.05, 3.0))
def test_promotion_evidence_is_fair_while_the_candidate_is_at_or_beyond_the_margin(
    n_c: int, n_s: int, p_s: float, excess: float, margin: float
) -> None:
    p_s = p_s / (margin * excess)
    assert expected_wealth(within_margin(margin), n_c, margin * excess * p_s, n_s, p_s) <= 1.0 + 1e-9


@given(n=sizes, limit=st.floats(0.001, 0.9), excess=rates)
def test_limit_evidence_is_fair_while_the_rate_is_at_least_the_limit(n: int, limit: float, excess: float) -> None:
    rate = limit + (1.0 - limit) * excess
    assert expected_wealth(rate_below(limit), n, rate, 0, 0.0) <= 1.0 + 1e-9


@given(n_c=st.integers(1, 10**9), n_s=st.integers(1, 10**9), data=st.data())
def test_nothing_overflows(n_c: int, n_s: int, data: st.DataObject) -> None:
    tick = Counts(n_c, data.draw(st.integers(0, n_c)), n_s, data.draw(st.integers(0, n_s)))
    for test in (worse_than_stable(), within_margin(1.5)):
        assert math.isfinite(test.log_e(test.update(test.start(), tick)))


@given(n_c=st.integers(1, 500), n_s=st.integers(1, 500), k_s=st.integers(0, 50), data=st.data())
def test_a_worse_candidate_is_never_judged_better(n_c: int, n_s: int, k_s: int, data: st.DataObject) -> None:
    k_s = min(k_s, n_s)
    fewer = data.draw(st.integers(0, n_c))
    more = data.draw(st.integers(fewer, n_c))
    rollback, promote = worse_than_stable(), within_margin(1.5)

    def log_e(test: EventShareMixture, k_c: int) -> float:
        return float(test.log_e(test.update(test.start(), Counts(n_c, k_c, n_s, k_s))))

    assert log_e(rollback, more) >= log_e(rollback, fewer) - 1e-9
    assert log_e(promote, more) <= log_e(promote, fewer) + 1e-9


def test_a_tick_that_only_one_arm_had_says_nothing() -> None:
    test = worse_than_stable()
    assert test.update(test.start(), Counts(50, 25, 0, 0)) == pytest.approx(test.start())
    assert test.update(test.start(), Counts(0, 0, 50, 25)) == pytest.approx(test.start())


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=7))
def test_log_mean_lies_between_its_parts(logs: list[float]) -> None:
    mean = log_mean(logs, [1.0 / len(logs)] * len(logs))
    assert min(logs) - 1e-9 <= mean <= max(logs) + 1e-9


def test_false_alarms_stay_below_their_bound_at_any_number_of_looks() -> None:
    """400 healthy rollouts, looked at after each of 300 ticks: 1 % may ever reach 100 (binomial slack included)."""
    test, chance, alarms = worse_than_stable(), random.Random(20_2611), 0
    for _ in range(400):
        wealth = test.start()
        for _ in range(300):
            n_c = sum(chance.random() < 0.1 for _ in range(30))
            n_s = 30 - n_c
            k_c = sum(chance.random() < 0.02 for _ in range(n_c))
            k_s = sum(chance.random() < 0.02 for _ in range(n_s))
            wealth = test.update(wealth, Counts(n_c, k_c, n_s, k_s))
            if test.log_e(wealth) >= math.log(100):
                alarms += 1
                break
    assert alarms <= 10


@given(n=sizes, limit=st.floats(0.001, 0.9), fraction=rates)
def test_evidence_of_too_much_is_fair_while_the_rate_is_at_most_the_limit(
    n: int, limit: float, fraction: float
) -> None:
    assert expected_wealth(rate_above(limit), n, limit * fraction, 0, 0.0) <= 1.0 + 1e-9


@given(n=st.integers(0, 8), share=rates, rate=rates)
def test_by_assignment_nothing_is_assumed_of_how_requests_depend_on_each_other(
    n: int, share: float, rate: float
) -> None:
    """All requests of a tick are bad together, or none is; each is assigned by itself."""
    test, total = worse_than_stable(), 0.0
    for n_c in range(n + 1):
        assigned = binomial(n, n_c, share)
        for bad, chance in ((True, rate), (False, 1.0 - rate)):
            tick = Counts(n_c, n_c * bad, n - n_c, (n - n_c) * bad)
            total += assigned * chance * math.exp(test.log_e(test.update(test.start(), tick, share)))
    assert total <= 1.0 + 1e-9


@given(n=st.integers(0, 6), rate=rates, together=rates)
def test_copies_of_the_same_requests_are_no_harm(n: int, rate: float, together: float) -> None:
    """Every request has an answer of both arms; where one is bad the other is so, too, with probability `together`."""
    test, total = worse_than_stable(), 0.0
    both, one = rate * together, rate * (1.0 - together) / 2.0
    kinds = {(1, 1): both, (1, 0): one, (0, 1): one, (0, 0): 1.0 - both - 2 * one}
    for outcome in itertools.combinations_with_replacement(kinds, n):
        ways = math.factorial(n) / math.prod(math.factorial(outcome.count(kind)) for kind in kinds)
        chance = ways * math.prod(kinds[kind] for kind in outcome)
        tick = Counts(n, sum(mine for mine, _ in outcome), n, sum(theirs for _, theirs in outcome))
        total += chance * math.exp(test.log_e(test.update(test.start(), tick, 0.5)))
    assert total <= 1.0 + 1e-9


@given(st.lists(st.tuples(sizes, sizes, sizes, sizes), min_size=1, max_size=5))
def test_at_equal_shares_the_names_of_the_arms_do_not_matter_to_what_is_expected(
    ticks: list[tuple[int, int, int, int]],
) -> None:
    """With labels drawn by a coin, the wealth of all labellings of the same bad events is 1 on average."""
    bad = sum(k_c + k_s for k_c, _, k_s, _ in ticks)
    test = worse_than_stable()
    mean = sum(
        math.comb(bad, mine)
        / 2.0**bad
        * math.exp(test.log_e(test.update(test.start(), Counts(9, mine, 9, bad - mine))))
        for mine in range(bad + 1)
    )
    assert mean == pytest.approx(1.0)


@given(st.lists(st.tuples(sizes, sizes, sizes, sizes, rates), min_size=1, max_size=8))
def test_numbers_and_arrays_give_the_same(ticks: list[tuple[int, int, int, int, float]]) -> None:
    """What is simulated by the thousand is the rule that decides."""
    test, below = worse_than_stable(), rate_below(0.05)
    wealth, arrays = test.start(), tuple(np.zeros(3) for _ in test.ratios)
    limited, limited_arrays = below.start(), tuple(np.zeros(3) for _ in below.rates)
    for good_c, bad_c, good_s, bad_s, share in ticks:
        tick = Counts(good_c + bad_c, bad_c, good_s + bad_s, bad_s)
        given_share = share if share > 0.5 else None
        many = Counts(*(np.full(3, float(number)) for number in dataclasses.astuple(tick)))  # type: ignore[arg-type]
        wealth = test.update(wealth, tick, given_share)
        arrays = test.update(arrays, many, given_share, np)
        limited, limited_arrays = below.update(limited, tick), below.update(limited_arrays, many)
    assert test.log_e(arrays, np) == pytest.approx(np.full(3, test.log_e(wealth)), rel=1e-12, abs=1e-12)
    assert below.log_e(limited_arrays, np) == pytest.approx(np.full(3, below.log_e(limited)), rel=1e-12, abs=1e-12)
