"""A metric of counts is tested both ways: what rollback remembers, what promotion must prove anew, what has to wait."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.games import Chances, counts_tick, most_that_can_be_won
from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.specification import AnalysisSpec, ErrorsSpec, LatencySpec, MetricSpec, SourceSpec
from trimtab.core.stats.counted import WITHIN_WEIGHT, Counted, CountTest
from trimtab.core.stats.eprocess import Counts, rate_above, rate_below, within_margin, worse_than_stable
from trimtab.core.stats.evidence import STRATUM_REQUESTS, Arm, Evidence, MetricTick, Tick, begin, enter_step, observe
from trimtab.core.stats.histogram import Histogram
from trimtab.core.stats.rule import ANSWERS, ERRORS, rule

few = st.integers(0, 40)
ticks_of_counts = st.lists(st.tuples(few, few, few, few), min_size=1, max_size=5)
ERRORS_TEST = CountTest(1.0, worse_than_stable(), within_margin(1.5), rate_below(0.05))
ANSWERS_TEST = CountTest(1.0, rate_above(0.05), None, rate_below(0.05))
RATIO_TEST = CountTest(1.0, worse_than_stable(), within_margin(1.5))
TESTS = [ERRORS_TEST, ANSWERS_TEST, RATIO_TEST]
every_test = pytest.mark.parametrize("test", TESTS, ids=["errors", "answers", "ratio"])


def events(**changes: Any) -> AnalysisSpec:
    metric = dataclasses.replace(MetricSpec("refusals", "events", SourceSpec("json", "http://127.0.0.1:1/")), **changes)
    return AnalysisSpec(latency=None, metrics=(metric,))


def as_counts(tick: tuple[int, int, int, int]) -> Counts:
    g_c, k_c, g_s, k_s = tick
    return Counts(g_c + k_c, k_c, g_s + k_s, k_s)


def counted(test: CountTest, *ticks: Counts) -> Counted:
    after = test.begin()
    for tick in ticks:
        after = test.count_for_step(test.count(after, tick), tick)
    return after


# --- fair ----------------------------------------------------------------------------------------------------

NOT_GOOD_ENOUGH: list[tuple[CountTest, list[Chances[Counts]]]] = [
    # Neither within 1.5 times the stable rate nor below 5 %: then neither proof may win.
    (ERRORS_TEST, [counts_tick(2, 0.06, 2, 0.04), counts_tick(1, 0.9, 2, 0.5), counts_tick(3, 0.05, 1, 0.0)]),
    (ANSWERS_TEST, [counts_tick(3, 0.05, 0, 0.0), counts_tick(2, 0.5, 0, 0.0)]),
    (RATIO_TEST, [counts_tick(2, 0.006, 2, 0.004), counts_tick(1, 0.9, 2, 0.6)]),
]


@pytest.mark.parametrize(("test", "ticks"), NOT_GOOD_ENOUGH, ids=["errors", "answers", "ratio"])
def test_no_rule_for_stopping_promotes_what_is_not_good_enough(test: CountTest, ticks: list[Chances[Counts]]) -> None:
    """Both proofs together are one e-value as long as the candidate is neither within the margin nor below the limit.
    Before every tick the share may have been lost, so that the step begins again."""

    def after(now: Counted, outcome: tuple[bool, Counts]) -> Counted:
        again, tick = outcome
        return test.count_for_step(test.begin_again(now) if again else now, tick)

    choices = [[(chance, (again, tick)) for chance, tick in every] for every in ticks for again in (False, True)]
    won = most_that_can_be_won(test.begin(), lambda now: math.exp(test.promote_log_e(now)), after, choices, rounds=2)
    assert won <= 1.0 + 1e-9


def test_no_rule_for_stopping_rolls_back_what_is_no_worse() -> None:
    """By assignment, with a share that rises and steps that begin in between."""
    test = ERRORS_TEST

    def ticks(share: float, together: bool) -> Chances[tuple[Counts, float]]:
        """Three requests, each assigned by itself; those of one tick fail together or apart."""
        found = []
        for arms in itertools.product((0, 1), repeat=3):
            for bads in itertools.product((0, 1), repeat=3):
                if together and len(set(bads)) > 1:
                    continue
                fails = (0.3 if bads[0] else 0.7) if together else math.prod(0.3 if bad else 0.7 for bad in bads)
                chance = math.prod(share if mine else 1.0 - share for mine in arms) * fails
                k_c = sum(mine and bad for mine, bad in zip(arms, bads, strict=True))
                found.append((chance, (Counts(sum(arms), k_c, 3 - sum(arms), sum(bads) - k_c), share)))
        return found

    def after(now: Counted, outcome: tuple[Counts, float]) -> Counted:
        tick, share = outcome
        return test.enter_step(test.count(now, tick, share))

    choices = [ticks(0.1, True), ticks(0.5, False), ticks(0.5, True)]
    won = most_that_can_be_won(test.begin(), lambda now: math.exp(test.worse_log_e(now)), after, choices, rounds=2)
    assert won <= 1.0 + 1e-9


# --- what is kept and what begins anew ------------------------------------------------------------------------------


@every_test
@given(ticks_of_counts)
@settings(max_examples=20)
def test_a_step_begins_with_what_speaks_against_the_candidate_and_nothing_for_it(
    test: CountTest, ticks: list[tuple[int, int, int, int]]
) -> None:
    before = counted(test, *map(as_counts, ticks))
    entered = test.enter_step(before)
    assert (entered.worse, entered.whole) == (before.worse, before.whole)
    assert (entered.within, entered.below, entered.step) == (test.begin().within, test.begin().below, Counts())
    assert test.promote_log_e(entered) == pytest.approx(0.0, abs=1e-12)
    again = test.begin_again(before)
    assert (again.worse, again.whole, again.step) == (before.worse, before.whole, Counts())
    assert test.promote_log_e(again) <= min(0.0, test.promote_log_e(before)) + 1e-9


@every_test
@given(ticks_of_counts)
@settings(max_examples=20)
def test_harm_and_proof_are_counted_each_by_itself(test: CountTest, ticks: list[tuple[int, int, int, int]]) -> None:
    start = test.begin()
    for tick in map(as_counts, ticks):
        harm, proof = test.count(start, tick), test.count_for_step(start, tick)
        assert (harm.within, harm.below, harm.step) == (start.within, start.below, start.step)
        assert (proof.worse, proof.whole) == (start.worse, start.whole)
        assert harm.whole == start.whole.plus(tick)
        assert proof.step == start.step.plus(tick)


@given(ticks_of_counts)
def test_the_proofs_are_averaged_with_their_weights(ticks: list[tuple[int, int, int, int]]) -> None:
    after = counted(ERRORS_TEST, *map(as_counts, ticks))
    within, below = within_margin(1.5).log_e(after.within), rate_below(0.05).log_e(after.below)
    average = WITHIN_WEIGHT * math.exp(within) + (1.0 - WITHIN_WEIGHT) * math.exp(below)
    assert ERRORS_TEST.promote_log_e(after) == pytest.approx(math.log(average))
    alone = counted(RATIO_TEST, *map(as_counts, ticks))
    assert RATIO_TEST.promote_log_e(alone) == within_margin(1.5).log_e(alone.within)
    answers = counted(ANSWERS_TEST, *map(as_counts, ticks))
    assert ANSWERS_TEST.promote_log_e(answers) == rate_below(0.05).log_e(answers.below)


def test_without_any_proof_there_is_none() -> None:
    test = CountTest(1.0, worse_than_stable())
    assert test.promote_log_e(counted(test, Counts(10, 0, 10, 5))) is None


@every_test
@given(ticks_of_counts, st.one_of(st.none(), st.floats(0.01, 0.99)))
@settings(max_examples=25)
def test_numbers_and_arrays_give_the_same(
    test: CountTest, ticks: list[tuple[int, int, int, int]], share: float | None
) -> None:
    alone = test.begin()
    worse, within, below = (tuple(np.zeros(2) for _ in logs) for logs in (alone.worse, alone.within, alone.below))
    many = Counted(worse, within, below)
    for tick in map(as_counts, ticks):
        twice = Counts(*(np.full(2, float(part)) for part in dataclasses.astuple(tick)))  # type: ignore[arg-type]
        alone = test.count_for_step(test.count(alone, tick, share), tick)
        many = test.count_for_step(test.count(many, twice, share, np), twice, np)
    assert test.worse_log_e(many, np) == pytest.approx(np.full(2, test.worse_log_e(alone)), rel=1e-9, abs=1e-9)
    assert test.promote_log_e(many, np) == pytest.approx(np.full(2, test.promote_log_e(alone)), rel=1e-9, abs=1e-9)


@every_test
@pytest.mark.parametrize("bad", [0.0, 0.01, 1.0])
def test_nothing_overflows_at_a_billion(test: CountTest, bad: float) -> None:
    after = test.begin()
    for _ in range(100):
        tick = Counts(10**7, int(10**7 * bad), 10**7, int(10**7 * (1.0 - bad)))
        after = test.count_for_step(test.count(after, tick, 0.5), tick)
    assert after.whole.all_candidate == 10**9
    assert math.isfinite(test.worse_log_e(after))
    assert math.isfinite(test.promote_log_e(after))


# --- numbers from elsewhere: too few to be a tick ---------------------------------------------------------------------

gains = st.tuples(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15), st.integers(0, 15))


def gain(tick: tuple[int, int, int, int], proves: bool = True) -> MetricTick:
    g_c, k_c, g_s, k_s = tick
    return MetricTick(ArmMeasure(k_c, g_c + k_c), ArmMeasure(k_s, g_s + k_s), proves)


def after_gain(
    spec: AnalysisSpec,
    evidence: Evidence,
    tick: tuple[int, int, int, int],
    *,
    settled: bool = True,
    proves: bool = True,
) -> Evidence:
    return observe(spec, evidence, Tick(metrics={"refusals": gain(tick, proves)}, settled=settled, in_step=settled))


@given(st.lists(gains, min_size=1, max_size=12))
def test_what_waits_is_never_lost_nor_counted_twice(ticks: list[tuple[int, int, int, int]]) -> None:
    spec = events()
    evidence = begin(spec, Histogram())
    for tick in ticks:
        before = evidence.counted["refusals"]
        evidence = after_gain(spec, evidence, tick)
        after = evidence.counted["refusals"]
        waited = before.waiting.plus(as_counts(tick))
        enough = waited.all_candidate + waited.all_stable >= STRATUM_REQUESTS
        if enough and waited.all_candidate and waited.all_stable:
            assert (after.whole, after.waiting) == (before.whole.plus(waited), Counts())
        else:
            assert (after.whole, after.waiting, after.worse) == (before.whole, waited, before.worse)


@given(st.lists(gains, min_size=2, max_size=8), st.data())
def test_when_a_tick_is_complete_depends_on_exposures_alone(
    ticks: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    """Whatever is bad among them: otherwise stopping at a good moment would be evidence."""
    spec = events()
    one = other = begin(spec, Histogram())
    for good_c, bad_c, good_s, bad_s in ticks:
        turned_c, turned_s = data.draw(st.integers(0, bad_c)), data.draw(st.integers(0, bad_s))
        one = after_gain(spec, one, (good_c, bad_c, good_s, bad_s))
        other = after_gain(spec, other, (good_c + turned_c, bad_c - turned_c, good_s + turned_s, bad_s - turned_s))
        mine, theirs = one.counted["refusals"], other.counted["refusals"]
        assert mine.whole.all_candidate == theirs.whole.all_candidate
        assert mine.waiting.all_stable == theirs.waiting.all_stable


def test_one_less_than_enough_waits() -> None:
    spec = events()
    few, enough = (after_gain(spec, begin(spec, Histogram()), (9, 1, 9, stable_bad)) for stable_bad in (0, 1))
    assert few.counted["refusals"].whole == Counts()
    assert enough.counted["refusals"].whole == Counts(10, 1, 10, 1)
    one_arm = after_gain(spec, begin(spec, Histogram()), (500, 5, 0, 0))
    assert one_arm.counted["refusals"].whole == Counts()


@pytest.mark.parametrize("why", ["another step", "not settled", "read before the step"])
def test_what_waited_from_before_proves_nothing_but_still_harms(why: str) -> None:
    spec = events()
    evidence = after_gain(
        spec, begin(spec, Histogram()), (5, 4, 0, 0), settled=why != "not settled", proves=why != "read before the step"
    )
    if why == "another step":
        evidence = enter_step(spec, evidence)
    evidence = after_gain(spec, evidence, (0, 0, 0, 0))
    mixed = after_gain(spec, evidence, (0, 0, 15, 0)).counted["refusals"]
    assert (mixed.whole, mixed.step) == (Counts(9, 4, 15, 0), Counts())
    assert worse_than_stable().log_e(mixed.worse) > 0
    assert mixed.within == (0.0, 0.0, 0.0)
    pure = after_gain(spec, after_gain(spec, evidence, (0, 0, 15, 0)), (15, 0, 15, 0)).counted["refusals"]
    assert pure.step == Counts(15, 0, 15, 0)


def test_an_entered_step_in_which_nothing_waits_proves_from_the_first_number_on() -> None:
    spec = events()
    evidence = after_gain(spec, enter_step(spec, begin(spec, Histogram())), (0, 0, 0, 0), settled=False)
    evidence = after_gain(spec, evidence, (15, 0, 15, 0))
    assert evidence.counted["refusals"].step == Counts(15, 0, 15, 0)


@given(st.integers(0, 3), st.integers(0, 3))
def test_a_tick_of_one_request_says_nothing(mine: int, theirs: int) -> None:
    """With realised shares: so few requests are never a tick of their own."""
    if mine and theirs:
        return
    test = worse_than_stable()
    tick = Counts(mine, mine, theirs, theirs)
    assert test.update(test.start(), tick) == pytest.approx(test.start(), abs=1e-12)


# --- which tests a specification asks for --------------------------------------------------------------------

specs = st.builds(
    AnalysisSpec,
    errors=st.one_of(st.none(), st.builds(ErrorsSpec, st.floats(1.05, 3.0), st.sampled_from([0.0, 0.5, 1.0, 100.0]))),
    latency=st.one_of(
        st.none(),
        st.builds(LatencySpec, st.sampled_from([(0.5,), (0.5, 0.95), (0.9, 0.99, 0.999)]), st.floats(1.05, 3.0)),
    ),
    metrics=st.sampled_from(
        [
            (),
            tuple(
                MetricSpec(kind, kind, SourceSpec("json", "http://127.0.0.1:1/"), 2.0, 3.0, 0.07)
                for kind in ("events", "score", "rate")
            ),
        ]
    ),
)


@given(specs, st.one_of(st.none(), st.floats(0.0, 100.0)))
def test_the_wealth_is_spread_over_all_metrics_and_none_of_it_is_lost_or_made(
    spec: AnalysisSpec, answers_pct: float | None
) -> None:
    tests = rule(spec, answers_pct)
    names = [*tests.counts, *tests.scores]
    assert len(set(names)) == len(names)
    if names:
        assert sum(tests.weight(name) for name in names) == pytest.approx(1.0)
        assert min(tests.weight(name) for name in names) > 0
    evidence = begin(spec, Histogram(), answers_pct)
    assert {*evidence.counted, *evidence.scored} == set(names)


@given(specs)
def test_margins_and_limits_are_those_of_the_specification(spec: AnalysisSpec) -> None:
    tests = rule(spec, 5.0)
    if spec.errors is not None:
        errors = tests.counts[ERRORS]
        assert errors.within == within_margin(spec.errors.margin_ratio)
        acceptable = spec.errors.acceptable_pct / 100.0
        assert errors.below == (rate_below(acceptable) if 0 < acceptable < 1 else None)
    if spec.latency is not None:
        for quantile in spec.latency.quantiles:
            slow = tests.counts[f"latency p{quantile * 100:g}"]
            assert slow.within == within_margin(spec.latency.margin_ratio)
            assert slow.below is not None
            assert slow.below.limit == min(0.95, spec.latency.margin_ratio * (1.0 - quantile))
    if spec.metrics:
        assert tests.counts["events"].below == rate_below(0.03)
        assert tests.counts["rate"].below is None
        assert tests.counts["events"].within == tests.counts["rate"].within == within_margin(2.0)
        assert tests.scores["score"].margin == 0.07
    assert tests.counts[ANSWERS].worse == rate_above(0.05)
    assert (tests.counts[ANSWERS].within, tests.counts[ANSWERS].below) == (None, rate_below(0.05))


def test_most_of_the_wealth_is_on_errors() -> None:
    tests = rule(AnalysisSpec())
    weights = [tests.weight(name) for name in ("errors", "latency p50", "latency p95")]
    assert weights == pytest.approx([0.9, 0.05, 0.05])


@pytest.mark.parametrize("answers_pct", [0.0, 1e-9, 99.0, 99.999])
def test_answers_can_be_tested_at_any_limit(answers_pct: float) -> None:
    test = rule(AnalysisSpec(), answers_pct).counts[ANSWERS]
    alike = counted(test, Counts(10_000, 0))
    assert test.promote_log_e(alike) > 0 > test.worse_log_e(alike)
    assert math.isfinite(test.worse_log_e(counted(test, Counts(10_000, 10_000))))


def test_the_proof_of_a_tick_uses_the_realised_share_whatever_the_assigned_one_is() -> None:
    spec = AnalysisSpec(latency=None)
    one, other = (
        observe(spec, begin(spec, Histogram()), Tick(Arm(30, 1), Arm(70, 2), share=share)).counted["errors"]
        for share in (0.31, 0.9)
    )
    assert one.within == other.within
    assert one.worse != other.worse
