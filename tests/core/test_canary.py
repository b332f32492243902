"""Verdicts: from ticks of both arms to PASS, FAIL or INSUFFICIENT with a reason."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.model.specification import AnalysisSpec, ErrorsSpec, LatencySpec
from trimtab.core.stats import canary
from trimtab.core.stats.canary import Arm
from trimtab.core.stats.histogram import Histogram, bucket_of, lower_edge_us

ERRORS_ONLY = AnalysisSpec(latency=None)


def histogram(*latencies_ms: float) -> Histogram:
    counts: dict[int, int] = {}
    for latency in latencies_ms:
        bucket = bucket_of(latency * 1000)
        counts[bucket] = counts.get(bucket, 0) + 1
    return Histogram(counts)


def lognormal(chance: random.Random, number: int, factor: float = 1.0) -> Histogram:
    return histogram(*(30 * factor * chance.lognormvariate(0, 0.3) for _ in range(number)))


def verdict_after(spec: AnalysisSpec, ticks: int, candidate: Arm, stable: Arm) -> canary.Judgement:
    evidence = canary.begin(spec, Histogram())
    for _ in range(ticks):
        evidence = canary.observe(spec, evidence, candidate, stable)
    return canary.judge(spec, evidence)


def test_without_data_there_is_no_verdict() -> None:
    judgement = canary.judge(AnalysisSpec(), canary.begin(AnalysisSpec(), Histogram()))
    assert judgement.verdict == "INSUFFICIENT"
    assert "no request reached the candidate" in judgement.reason


def test_stable_traffic_alone_never_promotes() -> None:
    judgement = verdict_after(ERRORS_ONLY, 1000, Arm(0, 0), Arm(100, 0))
    assert judgement.verdict == "INSUFFICIENT"


def test_a_failing_candidate_is_caught_and_the_reason_names_both_rates() -> None:
    judgement = verdict_after(ERRORS_ONLY, 10, Arm(10, 2), Arm(90, 0))
    assert judgement.verdict == "FAIL"
    assert judgement.offender == "errors"
    assert "20 % of 100 candidate requests against 0 % of 900 stable requests failed" in judgement.reason


def test_a_shared_outage_is_not_the_candidates_fault() -> None:
    assert verdict_after(ERRORS_ONLY, 100, Arm(10, 5), Arm(90, 45)).verdict != "FAIL"


def test_a_clean_candidate_is_promoted_even_when_nothing_ever_fails() -> None:
    judgement = verdict_after(ERRORS_ONLY, 20, Arm(50, 0), Arm(50, 0))
    assert judgement.verdict == "PASS"


def test_a_ratio_alone_cannot_be_proven_without_a_single_failure() -> None:
    spec = AnalysisSpec(errors=ErrorsSpec(acceptable_pct=0.0), latency=None)
    assert verdict_after(spec, 1000, Arm(50, 0), Arm(50, 0)).verdict == "INSUFFICIENT"


def test_latency_is_learnt_before_it_is_judged() -> None:
    spec, chance = AnalysisSpec(errors=None), random.Random(1)
    evidence = canary.begin(spec, lognormal(chance, 50))
    evidence = canary.observe(spec, evidence, Arm(10, 0, lognormal(chance, 10)), Arm(10, 0, lognormal(chance, 10)))
    assert "still being learnt" in canary.judge(spec, evidence).reason


def run_latency(factor: float, slow_share: float, seed: int) -> canary.Judgement:
    spec, chance = AnalysisSpec(errors=None), random.Random(seed)
    evidence = canary.begin(spec, lognormal(chance, 1000))
    for _ in range(120):
        slow = sum(chance.random() < slow_share for _ in range(20))
        candidate = lognormal(chance, 20 - slow).plus(lognormal(chance, slow, factor))
        evidence = canary.observe(spec, evidence, Arm(20, 0, candidate), Arm(20, 0, lognormal(chance, 20)))
        judgement = canary.judge(spec, evidence)
        if judgement.verdict != "INSUFFICIENT":
            return judgement
    return judgement


def test_an_equally_fast_candidate_is_promoted() -> None:
    assert run_latency(1.0, 0.0, seed=2).verdict == "PASS"


def test_a_candidate_that_is_slow_only_in_its_tail_is_caught_at_p95() -> None:
    judgement = run_latency(8.0, 0.15, seed=3)
    assert (judgement.verdict, judgement.offender) == ("FAIL", "latency p95")
    assert "slower at p95" in judgement.reason


def test_no_step_passes_on_evidence_from_another_step_but_rollback_remembers() -> None:
    evidence = canary.begin(ERRORS_ONLY, Histogram())
    for _ in range(20):
        evidence = canary.observe(ERRORS_ONLY, evidence, Arm(50, 0), Arm(50, 0))
    assert canary.judge(ERRORS_ONLY, evidence).verdict == "PASS"
    fresh = canary.enter_step(ERRORS_ONLY, evidence)
    assert canary.judge(ERRORS_ONLY, fresh).verdict == "INSUFFICIENT"
    assert fresh.metrics["errors"].worse == evidence.metrics["errors"].worse


def test_with_no_metric_there_is_nothing_to_prove() -> None:
    spec = AnalysisSpec(errors=None, latency=None)
    assert canary.judge(spec, canary.begin(spec, Histogram())).verdict == "PASS"


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_at_most_a_share_of_one_minus_q_lies_beyond_the_quantile(latencies_ms: list[float], q: float) -> None:
    counts = histogram(*latencies_ms)
    bucket = counts.quantile_bucket(q)
    assert bucket is not None
    assert counts.at_or_above(bucket) <= (1 - q) * len(latencies_ms) + 1e-9


@given(st.floats(1.0, 1e9))
def test_a_duration_lies_in_its_bucket(duration_us: float) -> None:
    bucket = bucket_of(duration_us)
    assert lower_edge_us(bucket) <= duration_us * (1 + 1e-12)
    assert duration_us < lower_edge_us(bucket + 1) * (1 + 1e-12)


def test_the_tolerance_and_the_floor_keep_tiny_differences_out() -> None:
    spec = LatencySpec(tolerance_pct=10, floor_ms=5)
    evidence = canary.begin(AnalysisSpec(errors=None, latency=spec), histogram(*[1.0] * 1000))
    limit = canary.latency_limit_ms(evidence.metrics["latency p95"])
    assert limit is not None
    assert limit >= 6.0
