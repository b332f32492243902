"""Verdicts: from ticks of both arms to PASS, FAIL, INVALID or INSUFFICIENT with a reason."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.codec import decode_state, encode_state
from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.specification import AnalysisSpec, ErrorsSpec, LatencySpec, MetricSpec, SourceSpec
from trimtab.core.model.traffic import ArmCounts, UserCounts
from trimtab.core.stats.evidence import (
    Arm,
    Evidence,
    MetricTick,
    PairTick,
    SplitTick,
    Tick,
    begin,
    enter_step,
    observe,
    since,
)
from trimtab.core.stats.histogram import Histogram, bucket_of
from trimtab.core.stats.verdict import Judgement, e_bh, judge

ERRORS_ONLY = AnalysisSpec(latency=None)
_SOURCE = SourceSpec("json", "http://127.0.0.1:1/")


def own(kind: str, **changes: float) -> AnalysisSpec:
    metric = replace(MetricSpec("refusals", kind, _SOURCE), **changes)  # type: ignore[arg-type]
    return AnalysisSpec(latency=None, metrics=(metric,))


def histogram(*latencies_ms: float) -> Histogram:
    counts: dict[int, int] = {}
    for latency in latencies_ms:
        bucket = bucket_of(latency * 1000)
        counts[bucket] = counts.get(bucket, 0) + 1
    return Histogram(counts)


def lognormal(chance: random.Random, number: int, factor: float = 1.0) -> Histogram:
    return histogram(*(30 * factor * chance.lognormvariate(0, 0.3) for _ in range(number)))


def after(spec: AnalysisSpec, ticks: int, tick: Tick, history: Histogram | None = None) -> Evidence:
    evidence = begin(spec, history or Histogram())
    for _ in range(ticks):
        evidence = observe(spec, evidence, tick)
    return evidence


def verdict_after(spec: AnalysisSpec, ticks: int, candidate: Arm, stable: Arm) -> Judgement:
    return judge(spec, after(spec, ticks, Tick(candidate, stable)))


def test_without_data_there_is_no_verdict() -> None:
    judgement = judge(AnalysisSpec(), begin(AnalysisSpec(), Histogram()))
    assert judgement.verdict == "INSUFFICIENT"
    assert "no request reached the candidate" in judgement.reason


def test_stable_traffic_alone_never_promotes() -> None:
    assert verdict_after(ERRORS_ONLY, 1000, Arm(0, 0), Arm(100, 0)).verdict == "INSUFFICIENT"


def test_a_failing_candidate_is_caught_and_the_reason_names_both_rates() -> None:
    judgement = verdict_after(ERRORS_ONLY, 10, Arm(10, 2), Arm(90, 0))
    assert judgement.verdict == "FAIL"
    assert judgement.offender == "errors"
    assert "20 % of 100 candidate requests against 0 % of 900 stable requests failed" in judgement.reason
    assert judgement.rates["errors"] == (0.2, 0.0)


def test_a_shared_outage_is_not_the_candidates_fault() -> None:
    assert verdict_after(ERRORS_ONLY, 100, Arm(10, 5), Arm(90, 45)).verdict != "FAIL"


def test_a_clean_candidate_is_promoted_even_when_nothing_ever_fails() -> None:
    assert verdict_after(ERRORS_ONLY, 20, Arm(50, 0), Arm(50, 0)).verdict == "PASS"


def test_a_ratio_alone_cannot_be_proven_without_a_single_failure() -> None:
    spec = AnalysisSpec(errors=ErrorsSpec(acceptable_pct=0.0), latency=None)
    judgement = verdict_after(spec, 1000, Arm(50, 0), Arm(50, 0))
    assert judgement.verdict == "INSUFFICIENT"
    assert judgement.what_if == "at these rates no number of requests proves errors"


def test_ticks_that_have_not_settled_prove_nothing_good_and_still_roll_back() -> None:
    unsettled = Tick(Arm(50, 0), Arm(50, 0), settled=False)
    assert judge(ERRORS_ONLY, after(ERRORS_ONLY, 100, unsettled)).verdict == "INSUFFICIENT"
    failing = Tick(Arm(50, 20), Arm(50, 0), settled=False, in_step=False)
    assert judge(ERRORS_ONLY, after(ERRORS_ONLY, 3, failing)).verdict == "FAIL"


def test_no_step_passes_on_evidence_from_another_step_but_rollback_remembers() -> None:
    evidence = after(ERRORS_ONLY, 20, Tick(Arm(50, 0), Arm(50, 0)))
    assert judge(ERRORS_ONLY, evidence).verdict == "PASS"
    fresh = enter_step(ERRORS_ONLY, evidence)
    assert judge(ERRORS_ONLY, fresh).verdict == "INSUFFICIENT"
    assert fresh.counted["errors"].worse == evidence.counted["errors"].worse


def test_with_no_metric_there_is_nothing_to_prove() -> None:
    spec = AnalysisSpec(errors=None, latency=None)
    assert judge(spec, begin(spec, Histogram())).verdict == "PASS"


def test_a_gateway_that_gives_the_candidate_more_than_it_says_makes_no_false_alarm() -> None:
    """It says 5 % and gives 50 %: as many failures on both arms, most of them unexpected by the share it says."""
    lying = Tick(Arm(50, 1), Arm(50, 1), share=0.05)
    assert judge(ERRORS_ONLY, after(ERRORS_ONLY, 500, lying)).verdict != "FAIL"


def test_failures_on_the_candidate_are_worth_less_while_its_share_is_larger() -> None:
    small = judge(ERRORS_ONLY, after(ERRORS_ONLY, 1, Tick(Arm(5, 3), Arm(95, 0), share=0.05)))
    large = judge(ERRORS_ONLY, after(ERRORS_ONLY, 1, Tick(Arm(5, 3), Arm(95, 0), share=0.5)))
    assert small.rollback_log_e > large.rollback_log_e


# --- latency --------------------------------------------------------------------------------------------------------


def test_latency_is_learnt_before_it_is_judged() -> None:
    spec, chance = AnalysisSpec(errors=None), random.Random(1)
    evidence = begin(spec, lognormal(chance, 50))
    tick = Tick(Arm(10, 0, lognormal(chance, 10)), Arm(10, 0, lognormal(chance, 10)))
    assert "still being learnt" in judge(spec, observe(spec, evidence, tick)).reason


def run_latency(factor: float, slow_share: float, seed: int) -> Judgement:
    spec, chance = AnalysisSpec(errors=None), random.Random(seed)
    evidence = begin(spec, lognormal(chance, 1000))
    for _ in range(120):
        slow = sum(chance.random() < slow_share for _ in range(20))
        candidate = lognormal(chance, 20 - slow).plus(lognormal(chance, slow, factor))
        evidence = observe(spec, evidence, Tick(Arm(20, 0, candidate), Arm(20, 0, lognormal(chance, 20))))
        judgement = judge(spec, evidence)
        if judgement.verdict != "INSUFFICIENT":
            return judgement
    return judgement


def test_an_equally_fast_candidate_is_promoted() -> None:
    assert run_latency(1.0, 0.0, seed=2).verdict == "PASS"


def test_a_candidate_that_is_slow_only_in_its_tail_is_caught_at_p95() -> None:
    judgement = run_latency(8.0, 0.15, seed=3)
    assert (judgement.verdict, judgement.offender) == ("FAIL", "latency p95")
    assert "slower at p95" in judgement.reason


def test_the_tolerance_and_the_floor_keep_tiny_differences_out() -> None:
    spec = LatencySpec(tolerance_pct=10, floor_ms=5)
    evidence = begin(AnalysisSpec(errors=None, latency=spec), histogram(*[1.0] * 1000))
    limits = evidence.counted["latency p95"].threshold
    assert limits is not None
    assert limits.candidate_ms >= 6.0


# --- users ----------------------------------------------------------------------------------------------------------


def test_of_users_only_the_first_bad_event_counts() -> None:
    spec = replace(ERRORS_ONLY, unit="user")
    tick = Tick(Arm(500, 250, users=UserCounts(10, 1)), Arm(500, 5, users=UserCounts(10, 1)))
    evidence = after(spec, 5, tick)
    assert evidence.counted["errors"].whole.bad_candidate == 5
    assert judge(spec, evidence).verdict != "FAIL"


def test_a_user_who_is_slow_again_counts_once() -> None:
    spec = AnalysisSpec(errors=None, unit="user", latency=LatencySpec(quantiles=(0.5,)))
    slow = histogram(5000.0)
    users = UserCounts(10, 0, Histogram({0: 9}).plus(histogram(4000.0)), histogram(4000.0), slow)
    evidence = after(spec, 1, Tick(Arm(10, users=users), Arm(10)), history=histogram(*[10.0] * 200))
    assert (
        evidence.counted["latency p50"].whole.all_candidate,
        evidence.counted["latency p50"].whole.bad_candidate,
    ) == (
        9,
        0,
    )


# --- metrics of one's own -------------------------------------------------------------------------------------------


def events(bad: float, candidate: float = 50, stable: float = 50) -> MetricTick:
    return MetricTick(ArmMeasure(bad, candidate), ArmMeasure(1, stable))


def test_a_metric_of_ones_own_rolls_back_and_must_be_proven() -> None:
    spec = own("events", acceptable_pct=5.0)
    bad = judge(spec, after(spec, 20, Tick(Arm(50), Arm(50), {"refusals": events(25)})))
    assert (bad.verdict, bad.offender) == ("FAIL", "refusals")
    assert bad.reason.startswith("the candidate has more refusals: 50 % of 1,000 candidate exposures against 2 %")
    good = judge(spec, after(spec, 60, Tick(Arm(50), Arm(50), {"refusals": events(1)})))
    assert good.verdict == "PASS"
    silent = judge(spec, after(spec, 60, Tick(Arm(50), Arm(50))))
    assert silent.verdict == "INSUFFICIENT"
    assert silent.what_if == "refusals has no numbers in this step yet"


def test_numbers_that_are_no_evidence_now_keep_from_promoting() -> None:
    spec = own("events", acceptable_pct=5.0)
    evidence = after(spec, 60, Tick(Arm(50), Arm(50), {"refusals": events(1)}))
    held = judge(spec, evidence, {"refusals": "its newest number is 90 s old"})
    assert held.verdict == "INSUFFICIENT"
    assert held.reason == "refusals cannot be judged now: its newest number is 90 s old"


def test_few_numbers_are_gathered_until_they_say_something() -> None:
    spec = own("events")
    evidence = after(spec, 30, Tick(Arm(50), Arm(50), {"refusals": MetricTick(ArmMeasure(1, 1), ArmMeasure(0, 2))}))
    assert evidence.counted["refusals"].whole.all_candidate == 28
    assert evidence.counted["refusals"].worse[2] > 0


def test_a_rate_is_compared_by_the_shares_of_the_traffic() -> None:
    spec = own("rate")
    same = MetricTick(ArmMeasure(1, 10.0), ArmMeasure(9, 90.0))
    assert judge(spec, after(spec, 300, Tick(Arm(10), Arm(90), {"refusals": same}))).verdict != "FAIL"
    more = MetricTick(ArmMeasure(5, 10.0), ArmMeasure(5, 90.0))
    judged = judge(spec, after(spec, 20, Tick(Arm(10), Arm(90), {"refusals": more})))
    assert judged.verdict == "FAIL"
    assert "9.0 times as many for its share of the traffic" in judged.reason


def scores(chance: random.Random, number: int, mean: float) -> dict[int, int]:
    found: dict[int, int] = {}
    for _ in range(number):
        score = round(100 * min(1.0, max(0.0, chance.gauss(mean, 0.1))))
        found[score] = found.get(score, 0) + 1
    return found


def run_scores(candidate: float, stable: float, seed: int = 5) -> Judgement:
    spec, chance = own("score", margin=0.03), random.Random(seed)
    evidence = begin(spec, Histogram())
    for _ in range(300):
        tick = MetricTick(
            ArmMeasure(scores=scores(chance, 10, candidate)), ArmMeasure(scores=scores(chance, 10, stable))
        )
        evidence = observe(spec, evidence, Tick(Arm(50), Arm(50), {"refusals": tick}))
        judgement = judge(spec, evidence)
        if judgement.verdict != "INSUFFICIENT":
            break
    return judgement


def test_scores_are_judged_by_their_mean() -> None:
    assert run_scores(0.8, 0.8).verdict == "PASS"
    judged = run_scores(0.7, 0.8)
    assert (judged.verdict, judged.offender) == ("FAIL", "refusals")
    assert "the candidate's refusals is lower: 0.7" in judged.reason


def test_a_collapse_of_scores_is_seen_at_once() -> None:
    spec = own("score")
    collapse = MetricTick(ArmMeasure(scores={0: 10}), ArmMeasure(scores={98: 10}))
    assert judge(spec, after(spec, 2, Tick(Arm(50), Arm(50), {"refusals": collapse}))).verdict == "FAIL"


# --- mirrored answers -----------------------------------------------------------------------------------------------


def mirrored(different: int, ticks: int, *, comparing: bool = True) -> Judgement:
    evidence = enter_step(ERRORS_ONLY, begin(ERRORS_ONLY, Histogram(), 5.0), comparing=comparing)
    for _ in range(ticks):
        tick = Tick(Arm(50), Arm(50), pairs=PairTick(50 if comparing else 0, different), share=0.5)
        evidence = observe(ERRORS_ONLY, evidence, tick)
    return judge(ERRORS_ONLY, evidence)


def test_mirrored_answers_must_be_proven_alike_where_they_are_compared() -> None:
    assert mirrored(0, 30).verdict == "PASS"
    assert mirrored(0, 30, comparing=False).verdict == "PASS"
    differing = mirrored(20, 10)
    assert (differing.verdict, differing.offender) == ("FAIL", "answers")
    assert differing.reason.startswith("40 % of 500 pairs of mirrored answers differ")


# --- the split ------------------------------------------------------------------------------------------------------


def test_a_broken_split_is_invalid_until_the_next_step() -> None:
    tick = Tick(Arm(50), Arm(50), splits=(SplitTick(20, 80, 0.5),))
    evidence = after(ERRORS_ONLY, 50, tick)
    judgement = judge(ERRORS_ONLY, evidence)
    assert judgement.verdict == "INVALID"
    assert "the candidate got 20 % of 5,000 arrivals and should have got 50 %" in judgement.reason
    assert judge(ERRORS_ONLY, enter_step(ERRORS_ONLY, evidence)).verdict == "INSUFFICIENT"


# --- what would have changed it -------------------------------------------------------------------------------------


@given(st.integers(4, 50), st.integers(0, 3), st.floats(0.05, 0.6))
def test_what_would_have_saved_is_exact(failed: int, stable_failed: int, share: float) -> None:
    def judged(bad: int) -> Judgement:
        tick = Tick(Arm(50, bad), Arm(round(50 / share - 50) + 1, stable_failed), share=share)
        return judge(ERRORS_ONLY, after(ERRORS_ONLY, 1, tick))

    told = re.search(r"with (\d+) instead of (\d+) it would have gone on", judged(failed).what_if)
    if judged(failed).verdict != "FAIL":
        assert told is None
        return
    assert told is not None
    assert judged(int(told[1])).verdict != "FAIL"
    assert judged(int(told[1]) + 1).verdict == "FAIL"


def test_what_would_prove_it_comes_true() -> None:
    tick = Tick(Arm(50, 1), Arm(50, 1))
    evidence = after(ERRORS_ONLY, 10, tick)
    told = re.search(r"about ([\d,]+) more candidate requests prove it", judge(ERRORS_ONLY, evidence).what_if)
    assert told is not None
    more = int(told[1].replace(",", "")) / 50
    assert judge(ERRORS_ONLY, after(ERRORS_ONLY, 10 + math.floor(0.95 * more), tick)).verdict == "INSUFFICIENT"
    assert judge(ERRORS_ONLY, after(ERRORS_ONLY, 10 + math.ceil(1.01 * more), tick)).verdict == "PASS"


# --- properties -----------------------------------------------------------------------------------------------------

small = st.integers(0, 60)


@given(st.lists(st.tuples(small, small, small, small), min_size=1, max_size=20), st.data())
def test_a_worse_candidate_is_never_judged_better(ticks: list[tuple[int, int, int, int]], data: st.DataObject) -> None:
    """One more failure anywhere on the candidate: no less evidence for going back, no more for going on."""
    worse_at = data.draw(st.integers(0, len(ticks) - 1))

    def judged(more: int) -> Judgement:
        evidence = begin(ERRORS_ONLY, Histogram())
        for index, (good, bad, stable_good, stable_bad) in enumerate(ticks):
            turned = min(good, more) if index == worse_at else 0
            candidate = Arm(good + bad, bad + turned)
            evidence = observe(
                ERRORS_ONLY, evidence, Tick(candidate, Arm(stable_good + stable_bad, stable_bad), share=0.3)
            )
        return judge(ERRORS_ONLY, evidence)

    better, worse = judged(0), judged(data.draw(st.integers(1, 60)))
    assert worse.rollback_log_e >= better.rollback_log_e - 1e-9
    assert worse.promote_log_e["errors"] <= better.promote_log_e["errors"] + 1e-9


@given(st.permutations([(10, 0, 90, 1), (10, 2, 90, 0), (0, 0, 50, 5), (40, 1, 60, 1)]))
def test_the_order_of_ticks_does_not_matter(ticks: list[tuple[int, int, int, int]]) -> None:
    def log_e(order: list[tuple[int, int, int, int]]) -> float:
        evidence = begin(ERRORS_ONLY, Histogram())
        for n_c, k_c, n_s, k_s in order:
            evidence = observe(ERRORS_ONLY, evidence, Tick(Arm(n_c, k_c), Arm(n_s, k_s)))
        return judge(ERRORS_ONLY, evidence).rollback_log_e

    assert log_e(ticks) == pytest.approx(log_e(sorted(ticks)))


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.floats(0, 1),
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_nothing_overflows_at_a_billion_requests(
    n_c: int, n_s: int, p_c: float, p_s: float, share: float | None
) -> None:
    spec = own("score")
    metric = MetricTick(ArmMeasure(scores={0: n_c}), ArmMeasure(scores={100: n_s}))
    pairs = PairTick(n_c, int(n_c * p_c))
    tick = Tick(
        Arm(n_c, int(n_c * p_c)),
        Arm(n_s, int(n_s * p_s)),
        {"refusals": metric},
        (SplitTick(n_c, n_s, 0.5),),
        pairs,
        share,
    )
    evidence = observe(spec, begin(spec, Histogram(), 5.0), tick)
    judgement = judge(spec, evidence)
    assert math.isfinite(judgement.rollback_log_e)
    assert judgement.reason
    assert decode_state(Evidence, encode_state(evidence)) == evidence


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=5), st.booleans())
def test_what_came_since_is_never_negative(readings: list[tuple[int, int]], anew: bool) -> None:
    then = ArmCounts("a")
    for requests, errors in readings:
        now = ArmCounts("b" if anew else "a", requests, errors)
        came = since(now, then)
        assert came.requests >= 0
        assert came.errors >= 0
        assert came.requests == (requests if now.epoch != then.epoch else max(0, requests - then.requests))
        then = now


def test_e_bh_finds_the_largest_set() -> None:
    log_es = {"a": math.log(300), "b": math.log(160), "c": math.log(2), "d": -5.0}
    assert e_bh(log_es, 0.01) == ()
    assert e_bh(log_es | {"a": math.log(500)}, 0.01) == ("a",)
    assert e_bh(log_es | {"b": math.log(210), "a": math.log(210)}, 0.01) == ("a", "b")
    assert e_bh({}, 0.01) == ()
