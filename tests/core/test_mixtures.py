"""The mixtures against brute force, exact arithmetic and public implementations; and what must hold of every one."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.core.games import counts_tick, most_that_can_be_won
from trimtab.core.stats.eprocess import (
    Counts,
    EventShareMixture,
    LogWealth,
    RateBeyond,
    log_mean,
    rate_above,
    rate_below,
    within_margin,
    without_gains,
    worse_than_stable,
)

Test = EventShareMixture | RateBeyond
shares = st.floats(0.001, 0.999)
few = st.integers(0, 40)
BILLION = 10**9

MIXTURES: list[Test] = [
    worse_than_stable(),
    within_margin(1.5),
    within_margin(3.0),
    rate_below(0.01),
    rate_below(0.75),
    rate_above(0.05),
]
mixtures = pytest.mark.parametrize("test", MIXTURES, ids=lambda test: f"{type(test).__name__}-{MIXTURES.index(test)}")


def log_e_after(test: Test, *ticks: Counts) -> float:
    wealth = test.start()
    for tick in ticks:
        wealth = test.update(wealth, tick)
    return float(test.log_e(wealth))


def worth(test: Test) -> Callable[[LogWealth], float]:
    return lambda wealth: math.exp(test.log_e(wealth))


# --- fair, whatever the rule for stopping -----------------------------------------------------------------------------

NULLS = {
    0: [counts_tick(1, 0.4, 2, 0.4), counts_tick(2, 0.1, 1, 0.9), counts_tick(2, 0.0, 2, 0.7)],
    1: [counts_tick(1, 0.6, 2, 0.4), counts_tick(2, 0.9, 1, 0.05), counts_tick(2, 0.15, 2, 0.1)],
    2: [counts_tick(1, 0.9, 2, 0.3), counts_tick(2, 1.0, 1, 0.1), counts_tick(2, 0.3, 2, 0.1)],
    3: [counts_tick(3, 0.01, 0, 0.0), counts_tick(4, 0.3, 0, 0.0), counts_tick(1, 1.0, 0, 0.0)],
    4: [counts_tick(3, 0.75, 0, 0.0), counts_tick(4, 0.8, 0, 0.0), counts_tick(1, 1.0, 0, 0.0)],
    5: [counts_tick(3, 0.05, 0, 0.0), counts_tick(4, 0.01, 0, 0.0), counts_tick(1, 0.0, 0, 0.0)],
}


@mixtures
def test_no_rule_for_stopping_wins_anything(test: Test) -> None:
    """Three ticks, each chosen for what came before; stopped where it pays most."""
    ticks = NULLS[MIXTURES.index(test)]
    assert most_that_can_be_won(test.start(), worth(test), test.update, ticks, rounds=3) <= 1.0 + 1e-9


@mixtures
def test_off_the_null_something_is_won(test: Test) -> None:
    """The games are not fair because nothing can be won in them at all."""
    better, worse = counts_tick(3, 0.0, 3, 0.9), counts_tick(3, 0.9, 3, 0.05)
    ticks = [worse if test in (MIXTURES[0], MIXTURES[5]) else better]
    assert most_that_can_be_won(test.start(), worth(test), test.update, ticks, rounds=2) > 1.0 + 1e-3


@pytest.mark.parametrize("index", [1, 3])
def test_fresh_starts_without_gains_win_nothing_either(index: int) -> None:
    """Before every tick the step may begin again, as often as one likes."""
    test, ticks = MIXTURES[index], NULLS[index]

    def after(wealth: LogWealth, outcome: tuple[bool, Counts]) -> LogWealth:
        again, tick = outcome
        return test.update(without_gains(wealth) if again else wealth, tick)

    choices = [[(chance, (again, tick)) for chance, tick in every] for every in ticks for again in (False, True)]
    assert most_that_can_be_won(test.start(), worth(test), after, choices, rounds=2) <= 1.0 + 1e-9


def test_fresh_starts_from_nothing_would_win() -> None:
    """Why gains are given up and losses kept: who forgets losses, too, wins at the margin itself."""
    test, ticks = within_margin(1.5), NULLS[1][:1]

    def after(state: tuple[float, LogWealth], tick: Counts) -> tuple[float, LogWealth]:
        wealth = test.update(state[1], tick)
        return max(state[0], math.exp(test.log_e(wealth))), test.start()

    won = most_that_can_be_won((1.0, test.start()), lambda state: state[0], after, ticks, rounds=3)
    assert won > 1.0 + 1e-3


@given(st.floats(0.1, 5.0), shares, st.floats(1.05, 3.0), st.floats(1.0, 2.0))
def test_events_in_time_are_as_fair_as_events_among_requests(
    each_s: float, share: float, margin: float, excess: float
) -> None:
    """Poisson counts, the arms' exposures being their shares: at the boundary 1 exactly, beyond it less."""
    for test, times in ((worse_than_stable(), 1.0 / excess), (within_margin(margin), margin * excess)):
        means = each_s * share * times, each_s * (1.0 - share)
        # As far as the likeliest of the alternatives may go.
        tops = [int(stats.poisson.isf(1e-12, 15.0 * mean)) + 1 for mean in means]
        mine, theirs = np.meshgrid(*(np.arange(top + 1.0) for top in tops), indexing="ij")
        chance = stats.poisson.pmf(mine, means[0]) * stats.poisson.pmf(theirs, means[1])
        tick: Any = (100.0 * share, mine, 100.0 * (1.0 - share), theirs)
        wealth = np.exp(test.log_e(test.update(test.start(), Counts(*tick), None, np), np))
        expected = float((chance * wealth).sum())
        assert expected <= 1.0 + 1e-6
        if excess == 1.0:
            assert expected == pytest.approx(1.0, abs=1e-5)


@given(st.integers(0, 12), shares, st.floats(1.0, 3.0))
def test_with_labels_drawn_by_the_null_the_mean_over_all_labellings_is_one(
    bad: int, share: float, margin: float
) -> None:
    """Of so many bad events each is the candidate's with its expected part of them: no labelling is favoured."""
    for test in (within_margin(margin + 0.01), worse_than_stable()):
        mine = share * test.null_ratio / (1.0 - share + share * test.null_ratio)
        mean = sum(
            math.comb(bad, k)
            * mine**k
            * (1.0 - mine) ** (bad - k)
            * math.exp(test.log_e(test.update(test.start(), Counts(9, k, 9, bad - k), share)))
            for k in range(bad + 1)
        )
        assert mean == pytest.approx(1.0)


@given(st.integers(1, 3), st.integers(1, 3), st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.floats(0.0, 1.0))
def test_exposures_that_are_bad_in_part_are_fair(n_c: int, n_s: int, low: float, high: float, rate: float) -> None:
    """A score's distance from 1: each is 0, `low` or `high`, with one mean on both arms."""
    parts = (0.0, low, high)
    chances = (1.0 - rate, rate / 2.0, rate / 2.0)
    for test, stable in ((worse_than_stable(), 1.0), (within_margin(1.5), 1.0 / 1.5)):
        total = 0.0
        for mine in itertools.product(range(3), repeat=n_c):
            for theirs in itertools.product(range(3), repeat=n_s):
                chance = math.prod(chances[y] for y in (*mine, *theirs))
                bad = sum(parts[y] for y in mine), stable * sum(parts[y] for y in theirs)
                total += chance * math.exp(log_e_after(test, Counts(n_c, bad[0], n_s, bad[1])))
        assert total <= 1.0 + 1e-9


@given(st.integers(0, 5), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_copies_of_the_same_requests_do_not_promote_too_easily(n: int, rate: float, together: float) -> None:
    """At the margin itself; where one answer is bad the other tends to be so, too."""
    test, total = within_margin(1.5), 0.0
    p_c, p_s = rate, rate / 1.5
    both = together * p_s
    kinds = {(1, 1): both, (1, 0): p_c - both, (0, 1): p_s - both, (0, 0): 1.0 - p_c - p_s + both}
    if min(kinds.values()) < 0:
        return
    for outcome in itertools.combinations_with_replacement(kinds, n):
        ways = math.factorial(n) / math.prod(math.factorial(outcome.count(kind)) for kind in kinds)
        chance = ways * math.prod(kinds[kind] for kind in outcome)
        tick = Counts(n, sum(mine for mine, _ in outcome), n, sum(theirs for _, theirs in outcome))
        total += chance * math.exp(log_e_after(test, tick))
    assert total <= 1.0 + 1e-9


# --- the same as another way to compute it ----------------------------------------------------------------------------


def exact(test: Test, ticks: list[Counts]) -> Fraction:
    """The mixture as a product of fractions: no logarithm, no rounding."""
    total = Fraction(0)
    points = test.ratios if isinstance(test, EventShareMixture) else test.rates
    for point, weight in zip(map(Fraction, points), map(Fraction, test.weights), strict=True):
        wealth = Fraction(1)
        for tick in ticks:
            n_c, k_c, n_s, k_s = (Fraction(part) for part in dataclasses.astuple(tick))
            if isinstance(test, EventShareMixture):
                null, s = Fraction(test.null_ratio), n_c / (n_c + n_s)
                wealth *= (point / null) ** int(k_c)
                wealth *= ((1 + s * (null - 1)) / (1 + s * (point - 1))) ** int(k_c + k_s)
            else:
                limit = Fraction(test.limit)
                wealth *= (point / limit) ** int(k_c) * ((1 - point) / (1 - limit)) ** int(n_c - k_c)
        total += weight * wealth
    return total


@mixtures
@given(st.lists(st.tuples(few, few, few, few), min_size=1, max_size=4))
@settings(max_examples=25)
def test_the_wealth_is_the_product_that_the_formula_says(test: Test, ticks: list[tuple[int, int, int, int]]) -> None:
    counts = [Counts(g_c + k_c + 1, k_c, g_s + k_s, k_s) for g_c, k_c, g_s, k_s in ticks]
    e = exact(test, counts)
    log_e = math.log(e.numerator) - math.log(e.denominator)
    assert log_e_after(test, *counts) == pytest.approx(log_e, rel=1e-9, abs=1e-9)


@given(few, few, shares, st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_a_component_is_the_likelihood_ratio_of_the_labels(
    k_c: int, k_s: int, share: float, ratio: float, null: float
) -> None:
    """Given how many bad events there are, the candidate's are binomial: scipy's likelihoods of both hypotheses."""
    test = EventShareMixture(null, (ratio,), (1.0,))
    found = test.update(test.start(), Counts(1, k_c, 1, k_s), share)[0]
    at_ratio, at_null = (share * times / (1.0 - share + share * times) for times in (ratio, null))
    likelihoods = [stats.binom.logpmf(k_c, k_c + k_s, part) for part in (at_ratio, at_null)]
    assert found == pytest.approx(likelihoods[0] - likelihoods[1], rel=1e-6, abs=1e-6)


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_a_rates_component_is_a_likelihood_ratio(bad: int, good: int, limit: float, rate: float) -> None:
    test = RateBeyond(limit, (rate,), (1.0,))
    found = test.update(test.start(), Counts(bad + good, bad))[0]
    likelihoods = [stats.binom.logpmf(bad, bad + good, p) for p in (rate, limit)]
    assert found == pytest.approx(likelihoods[0] - likelihoods[1], rel=1e-6, abs=1e-6)


@given(st.integers(0, 200), st.integers(0, 200), shares, st.floats(1.0, 3.0))
def test_no_more_evidence_than_the_largest_likelihood_ratio(k_c: int, k_s: int, share: float, null: float) -> None:
    """scipy's G statistic is twice its logarithm."""
    bad = k_c + k_s
    if bad == 0:
        return
    for test in (worse_than_stable(), within_margin(null + 0.05)):
        part = share * test.null_ratio / (1.0 - share + share * test.null_ratio)
        g = stats.power_divergence([k_c, k_s], [bad * part, bad * (1.0 - part)], lambda_="log-likelihood").statistic
        log_e = test.log_e(test.update(test.start(), Counts(1, k_c, 1, k_s), share))
        assert log_e <= g / 2.0 + 1e-6


@given(few, few, few, few, shares, st.floats(1.1, 20.0))
def test_the_other_arm_sees_the_same_in_a_mirror(
    g_c: int, k_c: int, g_s: int, k_s: int, share: float, ratio: float
) -> None:
    """That the candidate is r times worse, and that the stable release is 1/r times as bad, is one statement."""
    mine, theirs = EventShareMixture(1.0, (ratio,), (1.0,)), EventShareMixture(1.0, (1.0 / ratio,), (1.0,))
    here, there = Counts(g_c + k_c, k_c, g_s + k_s, k_s), Counts(g_s + k_s, k_s, g_c + k_c, k_c)
    for given_share, other_share in ((share, 1.0 - share), (None, None)):
        seen = mine.update(mine.start(), here, given_share)
        mirrored = theirs.update(theirs.start(), there, other_share)
        assert seen == pytest.approx(mirrored, rel=1e-9, abs=1e-9)


@mixtures
@given(st.lists(st.tuples(few, few, few, few), min_size=1, max_size=5))
@settings(max_examples=25)
def test_numbers_and_arrays_give_the_same(test: Test, ticks: list[tuple[int, int, int, int]]) -> None:
    points = test.ratios if isinstance(test, EventShareMixture) else test.rates
    wealth, arrays = test.start(), tuple(np.zeros(2) for _ in points)
    for g_c, k_c, g_s, k_s in ticks:
        tick = Counts(g_c + k_c, k_c, g_s + k_s, k_s)
        many = Counts(*(np.full(2, float(part)) for part in dataclasses.astuple(tick)))  # type: ignore[arg-type]
        wealth = test.update(wealth, tick)
        if isinstance(test, EventShareMixture):
            arrays = test.update(arrays, many, None, np)
        else:
            arrays = test.update(arrays, many)
    assert test.log_e(arrays, np) == pytest.approx(np.full(2, test.log_e(wealth)), rel=1e-12, abs=1e-12)


# --- what must hold of every one --------------------------------------------------------------------------------------


@mixtures
def test_before_the_first_tick_the_wealth_is_one(test: Test) -> None:
    assert sum(test.weights) == pytest.approx(1.0, abs=1e-12)
    assert test.log_e(test.start()) == pytest.approx(0.0, abs=1e-12)
    assert log_e_after(test, Counts()) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("margin", [1.01, 1.1, 1.5, 2.0, 10.0])
def test_bets_lie_on_the_side_of_what_they_are_to_show(margin: float) -> None:
    assert all(ratio > 1.0 for ratio in worse_than_stable().ratios)
    assert all(ratio < margin for ratio in within_margin(margin).ratios)
    for limit in (1e-4, 0.01, 0.5, 0.95):
        assert all(0 < rate < limit for rate in rate_below(limit).rates)
        assert all(limit < rate < 1 for rate in rate_above(limit).rates)


@mixtures
@given(st.integers(1, 300), few, st.integers(1, 300), few)
@settings(max_examples=40)
def test_one_failure_or_success_more_moves_the_evidence_the_right_way(
    test: Test, g_c: int, k_c: int, g_s: int, k_s: int
) -> None:
    """`up`: whether a failing candidate raises the evidence."""
    up = 1.0 if test in (MIXTURES[0], MIXTURES[5]) else -1.0
    now = log_e_after(test, Counts(g_c + k_c, k_c, g_s + k_s, k_s))
    more_failures = log_e_after(test, Counts(g_c + k_c + 1, k_c + 1, g_s + k_s, k_s))
    turned = log_e_after(test, Counts(g_c + k_c, k_c + 1, g_s + k_s, k_s))
    more_successes = log_e_after(test, Counts(g_c + k_c + 1, k_c, g_s + k_s, k_s))
    stable_turned = log_e_after(test, Counts(g_c + k_c, k_c, g_s + k_s, k_s + 1))
    assert up * (turned - now) >= -1e-9
    assert up * (more_failures - more_successes) >= -1e-9
    assert up * (more_successes - now) <= 1e-9
    if isinstance(test, EventShareMixture):
        assert up * (stable_turned - now) <= 1e-9
    else:
        assert stable_turned == now


@given(few, few, shares, shares)
def test_a_larger_share_makes_a_bad_event_worth_less(k_c: int, k_s: int, one: float, other: float) -> None:
    """So when shares are in doubt the larger one is safe for rollback, and the smaller one for promotion."""
    smaller, larger = sorted((one, other))
    tick = Counts(1, k_c, 1, k_s)
    for test, sign in ((worse_than_stable(), 1.0), (within_margin(1.5), -1.0)):
        low, high = (test.log_e(test.update(test.start(), tick, share)) for share in (smaller, larger))
        assert sign * (low - high) >= -1e-9


@mixtures
@pytest.mark.parametrize("ticks", [1, 1000])
@pytest.mark.parametrize(("bad_c", "bad_s"), [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.01, 0.01)])
def test_nothing_overflows_at_a_billion_requests_in_one_tick_or_many(
    test: Test, ticks: int, bad_c: float, bad_s: float
) -> None:
    each = BILLION // ticks
    tick = Counts(each, int(each * bad_c), each, int(each * bad_s))
    wealth = test.start()
    for _ in range(ticks):
        wealth = test.update(wealth, tick)
    assert all(math.isfinite(log_e) for log_e in wealth)
    assert math.isfinite(test.log_e(wealth))
    together = test.update(test.start(), Counts(*(ticks * part for part in dataclasses.astuple(tick))))
    assert wealth == pytest.approx(together, rel=1e-6, abs=1e-3)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=7), st.data())
def test_an_average_is_no_more_than_the_best_and_no_less_than_any_with_its_weight(
    logs: list[float], data: st.DataObject
) -> None:
    """Never worse than Bonferroni's weighted correction."""
    raw = data.draw(st.lists(st.floats(0.01, 1.0), min_size=len(logs), max_size=len(logs)))
    weights = [weight / sum(raw) for weight in raw]
    mean = log_mean(logs, weights)
    slack = 1e-9 * max(1.0, *(abs(log_e) for log_e in logs))
    assert mean <= max(logs) + slack
    assert all(mean >= log_e + math.log(weight) - slack for log_e, weight in zip(logs, weights, strict=True))


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=5))
def test_without_gains_nobody_is_richer_than_before_or_than_at_the_start(logs: list[float]) -> None:
    kept = without_gains(tuple(logs))
    assert all(now <= before and now <= 0.0 for now, before in zip(kept, logs, strict=True))
    assert all(now == before for now, before in zip(kept, logs, strict=True) if before <= 0)
