"""What is simulated in thousands is what decides: array by array the same as tick by tick."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from trimtab.core.model.specification import AnalysisSpec, ErrorsSpec, LatencySpec
from trimtab.core.model.traffic import UserCounts
from trimtab.core.stats import evidence as ev
from trimtab.core.stats.histogram import Histogram
from trimtab.core.stats.verdict import judge
from trimtab.simulate.traffic import Array, Behaviour, Drawn, RequestTraffic, UserTraffic, counts_of
from trimtab.simulate.watch import Watch

RUNS, TICKS = 12, 120
FAST, MIDDLE, SLOW = 100, 700, 800
"""Buckets of latency: thresholds are fixed between them."""
HISTORY = Histogram({FAST: 5000, MIDDLE: 4500, SLOW: 500})


def evidence_of(spec: AnalysisSpec) -> ev.Evidence:
    """Evidence whose thresholds lie between the buckets on both arms."""
    begun = ev.begin(spec, HISTORY)
    counted = dict(begun.counted)
    for name, bucket in (("latency p50", MIDDLE), ("latency p95", SLOW)):
        if name in counted:
            limits = counted[name].threshold
            assert limits is not None
            counted[name] = replace(counted[name], threshold=replace(limits, stable=bucket, candidate=bucket))
    return replace(begun, counted=counted)


def arm(spec: AnalysisSpec, requests: Array, bad: Array, exposed: Array, run: int) -> ev.Arm:
    """One rollout's part of a tick as the running system reads it."""
    number, errors = int(requests[run]), int(bad[0, run])
    users = UserCounts(int(exposed[run]), errors) if spec.unit == "user" else UserCounts()
    if len(bad) == 1:
        return ev.Arm(number, errors, users=users)
    middle, slow = int(bad[1, run]), int(bad[2, run])
    return ev.Arm(number, errors, Histogram({FAST: number - middle, MIDDLE: middle - slow, SLOW: slow}), users)


def tick_of(spec: AnalysisSpec, drawn: Drawn, run: int, share: float, settled: bool) -> ev.Tick:
    bad = np.asarray(drawn.counts.bad_candidate), np.asarray(drawn.counts.bad_stable)
    candidate, stable = (arm(spec, drawn.requests[i], bad[i], drawn.exposed[i], run) for i in range(2))
    return ev.Tick(candidate, stable, share=share, settled=settled)


def steps() -> list[tuple[float, bool, bool]]:
    """Share, whether it is a new step, whether slow failures can have been seen."""
    shares = [0.05] * 40 + [0.05 + 0.005 * i for i in range(40)] + [0.5] * 40
    return [(share, tick in (0, 80), tick % 80 > 3) for tick, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("spec", "candidate"),
    [
        (AnalysisSpec(), Behaviour(0.02)),
        (AnalysisSpec(), Behaviour(0.06)),
        (AnalysisSpec(), Behaviour(0.02, 3.0)),
        (AnalysisSpec(latency=None), Behaviour(0.03)),
        (AnalysisSpec(false_rollback_pct=0.1, latency=LatencySpec(margin_ratio=2.0)), Behaviour(0.01)),
    ],
)
def test_it_decides_as_the_running_rule(spec: AnalysisSpec, candidate: Behaviour) -> None:
    traffic = RequestTraffic(spec, candidate, Behaviour(0.02), seed=7)
    drawn = [
        traffic.draw(1.0, np.full(RUNS, 100.0 * share), np.full(RUNS, 100.0 * (1 - share))) for share, _, _ in steps()
    ]
    assert_same(spec, drawn)


def test_it_decides_as_the_running_rule_on_users() -> None:
    spec = AnalysisSpec(latency=None, unit="user")
    traffic = UserTraffic(0.04, 0.02, 20, RUNS, seed=8)
    assert_same(
        spec, [traffic.draw(1.0, np.full(RUNS, 4000.0 * s), np.full(RUNS, 4000.0 * (1 - s))) for s, _, _ in steps()]
    )


def assert_same(spec: AnalysisSpec, drawn: list[Drawn]) -> None:
    watch = Watch(spec, RUNS)
    alone = [evidence_of(spec) for _ in range(RUNS)]
    verdicts = set()
    for (share, enters, settled), tick in zip(steps(), drawn, strict=True):
        if enters:
            watch.enter_step(np.ones(RUNS, dtype=bool))
            alone = [ev.enter_step(spec, evidence) for evidence in alone]
        watch.count(tick, np.full(RUNS, share), None, np.full(RUNS, settled))
        log_e, failed, passed = watch.rollback_log_e(), watch.failed, watch.passed
        for run in range(RUNS):
            alone[run] = ev.observe(spec, alone[run], tick_of(spec, tick, run, share, settled))
            judged = judge(spec, alone[run])
            assert log_e[run] == pytest.approx(judged.rollback_log_e, rel=1e-9, abs=1e-9)
            word = "FAIL" if failed[run] else "PASS" if passed[run] else "INSUFFICIENT"
            assert word == judged.verdict
            verdicts.add(word)
    assert len(verdicts) > 1, "a comparison of nothing but one verdict shows little"


def one(bad_candidate: float, *, requests: float = 5.0) -> Drawn:
    candidate, stable = np.array([requests]), np.array([requests])
    bad, fine = np.array([[bad_candidate]]), np.array([[0.0]])
    return Drawn((candidate, stable), counts_of(candidate, bad, stable, fine), (candidate, stable))


def test_too_few_requests_wait_for_more() -> None:
    watch = Watch(AnalysisSpec(latency=None), 1)
    share = np.array([0.5])
    watch.count(one(3.0), share)
    assert watch.rollback_log_e()[0] == pytest.approx(0.0)
    assert watch.step_requests[0] == 0
    watch.count(one(3.0), share)
    assert watch.rollback_log_e()[0] > 0
    assert watch.step_requests[0] == 10


def test_each_failure_more_is_worse() -> None:
    def log_e(failures: float) -> float:
        watch = Watch(AnalysisSpec(latency=None), 1)
        watch.count(one(failures, requests=50.0), np.array([0.5]))
        return float(watch.rollback_log_e()[0])

    found = [log_e(failures) for failures in range(50)]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_what_is_over_is_forgotten() -> None:
    spec = AnalysisSpec()
    traffic = RequestTraffic(spec, Behaviour(0.05), Behaviour(0.01), seed=9)
    rates = np.full(RUNS, 50.0)
    first, second = traffic.draw(1.0, rates, rates), traffic.draw(1.0, rates, rates)
    kept = np.arange(RUNS) % 3 == 0
    whole, part = Watch(spec, RUNS), Watch(spec, RUNS)
    for watch in (whole, part):
        watch.count(first, np.full(RUNS, 0.5))
    part.keep(kept)
    whole.count(second, np.full(RUNS, 0.5))
    part.count(second.keep(kept), np.full(int(kept.sum()), 0.5))
    assert part.rollback_log_e() == pytest.approx(whole.rollback_log_e()[kept])
    assert (part.passed == whole.passed[kept]).all()


def test_nothing_is_promoted_without_data() -> None:
    for metrics in (AnalysisSpec(), AnalysisSpec(errors=None, latency=None)):
        watch = Watch(metrics, 1)
        assert not watch.passed[0]
        assert not watch.failed[0]
    assert math.isinf(Watch(AnalysisSpec(errors=None, latency=None), 1).rollback_log_e()[0])


# --- the bounds, on thousands of rollouts -----------------------------------------------------------------------------


def by_chance(runs: int, part: float) -> float:
    """As many as chance alone gives in one of a million such tests."""
    return runs * part + 5.0 * math.sqrt(runs * part) + 5.0


@pytest.mark.parametrize("errors", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("ramped", [False, True])
def test_false_rollbacks_stay_below_their_bound(errors: float, ramped: bool) -> None:
    """2,000 healthy rollouts with latencies, a share that stays or rises, looked at 400 times."""
    spec, runs = AnalysisSpec(), 2000
    traffic = RequestTraffic(spec, Behaviour(errors), Behaviour(errors), seed=11)
    watch, failed = Watch(spec, runs, promotion=False), np.zeros(runs, dtype=bool)
    for tick in range(400):
        share = 0.02 + 0.48 * tick / 400 if ramped else 0.1
        watch.count(
            traffic.draw(1.0, np.full(runs, 60.0 * share), np.full(runs, 60.0 * (1 - share))), np.full(runs, share)
        )
        failed |= watch.failed
    assert failed.sum() <= by_chance(runs, 0.01)


@pytest.mark.parametrize("margin", [1.2, 1.5, 3.0])
def test_false_promotions_stay_below_their_bound(margin: float) -> None:
    """2,000 candidates exactly at the margin (and above what is acceptable), looked at 400 times."""
    spec = AnalysisSpec(errors=ErrorsSpec(margin_ratio=margin, acceptable_pct=1.0), latency=None)
    runs = 2000
    traffic = RequestTraffic(spec, Behaviour(0.02 * margin), Behaviour(0.02), seed=12)
    watch, passed, rates = Watch(spec, runs), np.zeros(runs, dtype=bool), np.full(runs, 50.0)
    for _ in range(400):
        watch.count(traffic.draw(1.0, rates, rates), np.full(runs, 0.5))
        passed |= watch.passed
    assert passed.sum() <= by_chance(runs, 0.05)


def test_false_promotions_by_the_limit_stay_below_theirs() -> None:
    """The stable release never fails; the candidate does as often as is acceptable, which is not below it."""
    spec, runs = AnalysisSpec(errors=ErrorsSpec(acceptable_pct=2.0), latency=None), 2000
    traffic = RequestTraffic(spec, Behaviour(0.02), Behaviour(0.0), seed=13)
    watch, passed, rates = Watch(spec, runs), np.zeros(runs, dtype=bool), np.full(runs, 20.0)
    for _ in range(400):
        watch.count(traffic.draw(1.0, rates, rates), np.full(runs, 0.5))
        passed |= watch.passed
    assert passed.sum() <= by_chance(runs, 0.05)


def test_users_who_always_fail_are_no_false_alarm() -> None:
    spec, runs = AnalysisSpec(latency=None, unit="user"), 500
    traffic = UserTraffic(0.05, 0.05, 30, runs, seed=14)
    watch, failed = Watch(spec, runs, promotion=False), np.zeros(runs, dtype=bool)
    for _ in range(300):
        watch.count(traffic.draw(1.0, np.full(runs, 20.0), np.full(runs, 180.0)), np.full(runs, 0.1))
        failed |= watch.failed
    assert failed.sum() <= by_chance(runs, 0.01)


def test_no_overflow_at_a_billion_requests_for_each_of_many() -> None:
    spec = AnalysisSpec()
    traffic = RequestTraffic(spec, Behaviour(0.5), Behaviour(0.01), seed=15)
    watch, rates = Watch(spec, RUNS), np.full(RUNS, 1e7)
    for _ in range(100):
        watch.count(traffic.draw(1.0, rates, rates), np.full(RUNS, 0.5))
    assert np.isfinite(watch.rollback_log_e()).all()
    assert watch.failed.all()
    assert not watch.passed.any()
