"""The e-processes keep their promise: worth at most 1 on average under the null, whatever the tick looks like."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.stats.eprocess import Counts, EventShareMixture, RateBelow, log_mean, within_margin, worse_than_stable

rates = st.floats(0.0, 1.0)
sizes = st.integers(0, 7)


def binomial(n: int, k: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1.0 - p) ** (n - k)


def expected_wealth(test: EventShareMixture | RateBelow, n_c: int, p_c: float, n_s: int, p_s: float) -> float:
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
    assert expected_wealth(RateBelow(limit), n, rate, 0, 0.0) <= 1.0 + 1e-9


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
        return test.log_e(test.update(test.start(), Counts(n_c, k_c, n_s, k_s)))

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
