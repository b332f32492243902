"""The verdict over all metrics: what it averages, what it needs all of, how it is said what would have changed it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.games import binomial
from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.specification import AnalysisSpec, ErrorsSpec, LatencySpec, MetricSpec, SourceSpec
from trimtab.core.stats.eprocess import Counts
from trimtab.core.stats.evidence import (
    Arm,
    Evidence,
    Exposure,
    MetricTick,
    PairTick,
    SplitTick,
    Tick,
    begin,
    begin_again,
    enter_step,
    observe,
)
from trimtab.core.stats.histogram import Histogram, bucket_of
from trimtab.core.stats.rule import rule
from trimtab.core.stats.split import Split
from trimtab.core.stats.verdict import Judgement, e_bh, judge, rollback_log_e, thresholds

SOURCE = SourceSpec("json", "http://127.0.0.1:1/")
REFUSALS = MetricSpec("refusals", "events", SOURCE, acceptable_pct=5.0)
HELPFUL = MetricSpec("helpful", "score", SOURCE, margin=0.05)
ERRORS_ONLY = AnalysisSpec(latency=None)
TWO = AnalysisSpec(latency=None, metrics=(REFUSALS,))
ALL = AnalysisSpec(metrics=(REFUSALS, HELPFUL))
FAST, SLOW = bucket_of(20_000), bucket_of(5_000_000)
HISTORY = Histogram({FAST: 1000})
ORDER = {"FAIL": 0, "INVALID": 1, "INSUFFICIENT": 1, "PASS": 2}
small = st.integers(0, 60)


def after(spec: AnalysisSpec, ticks: int, tick: Tick, answers_pct: float | None = None) -> Evidence:
    evidence = enter_step(spec, begin(spec, HISTORY, answers_pct), comparing=answers_pct is not None)
    for _ in range(ticks):
        evidence = observe(spec, evidence, tick)
    return evidence


def tick_of(**bad: int) -> Tick:
    """A tick of 50 requests on each arm, good in every way but what is said: how many are `bad` on the candidate."""
    mine = Histogram({FAST: 50 - bad.get("slow", 0), SLOW: bad.get("slow", 0)})
    metrics = {
        "refusals": MetricTick(ArmMeasure(bad.get("refusals", 0), 50), ArmMeasure(0, 50)),
        "helpful": MetricTick(
            ArmMeasure(scores={90: 50 - bad.get("helpful", 0), 20: bad.get("helpful", 0)}), ArmMeasure(scores={90: 50})
        ),
    }
    pairs = PairTick(50, bad.get("answers", 0))
    return Tick(Arm(50, bad.get("errors", 0), mine), Arm(50, 0, Histogram({FAST: 50})), metrics, pairs=pairs, share=0.5)


NAMES = {"errors": "errors", "slow": "latency p95", "refusals": "refusals", "helpful": "helpful", "answers": "answers"}
kinds_of_bad = pytest.mark.parametrize("kind", NAMES)


# --- all metrics together --------------------------------------------------------------------------------------------


@kinds_of_bad
def test_harm_on_any_metric_rolls_back_and_is_named(kind: str) -> None:
    assert judge(ALL, after(ALL, 60, tick_of(), 5.0)).verdict == "PASS"
    judged = judge(ALL, after(ALL, 60, tick_of(**{kind: 25}), 5.0))
    assert judged.verdict == "FAIL"
    assert judged.offender in (NAMES[kind], "latency p50" if kind == "slow" else "")


@kinds_of_bad
def test_every_metric_must_be_proven(kind: str) -> None:
    """All but one are: a good release still waits."""
    evidence = after(ALL, 60, tick_of(), 5.0)
    name = NAMES[kind]
    if name in evidence.scored:
        test = rule(ALL, 5.0).scores[name]
        unproven = replace(evidence, scored={**evidence.scored, name: test.enter_step(evidence.scored[name])})
    else:
        counts = rule(ALL, 5.0).counts[name]
        unproven = replace(evidence, counted={**evidence.counted, name: counts.enter_step(evidence.counted[name])})
    judged = judge(ALL, unproven)
    assert judged.verdict == "INSUFFICIENT"
    assert name in judged.reason
    proven = {other: log_e for other, log_e in judged.promote_log_e.items() if other != name}
    assert min(proven.values()) >= judged.promote_at > judged.promote_log_e[name]


@given(st.lists(st.tuples(small, small, small, small, st.booleans()), min_size=1, max_size=15))
def test_without_candidate_requests_in_the_step_nothing_passes(
    ticks: list[tuple[int, int, int, int, bool]],
) -> None:
    evidence = begin(ERRORS_ONLY, Histogram())
    for g_c, k_c, g_s, k_s, again in ticks:
        evidence = observe(ERRORS_ONLY, evidence, Tick(Arm(g_c + k_c, k_c), Arm(g_s + k_s, k_s)))
        fresh = (begin_again if again else enter_step)(ERRORS_ONLY, evidence)
        for _ in range(50):
            fresh = observe(ERRORS_ONLY, fresh, Tick(stable=Arm(100, 1)))
        assert judge(ERRORS_ONLY, fresh).verdict in ("INSUFFICIENT", "FAIL")


@given(st.integers(0, 60), st.lists(st.sampled_from(sorted(NAMES)), max_size=3, unique=True), st.data())
@settings(max_examples=40)
def test_no_verdict_gets_better_by_more_that_is_bad(ticks: int, kinds: list[str], data: st.DataObject) -> None:
    bad = {kind: data.draw(st.integers(0, 40)) for kind in kinds}
    worse = {kind: data.draw(st.integers(number, 50)) for kind, number in bad.items()}
    better_verdict, worse_verdict = (judge(ALL, after(ALL, ticks, tick_of(**each), 5.0)) for each in (bad, worse))
    assert ORDER[worse_verdict.verdict] <= ORDER[better_verdict.verdict]
    assert worse_verdict.rollback_log_e >= better_verdict.rollback_log_e - 1e-9
    for name, log_e in worse_verdict.promote_log_e.items():
        assert log_e <= better_verdict.promote_log_e[name] + 1e-9


@given(st.lists(st.floats(-40, 40), min_size=5, max_size=5))
def test_rollback_averages_the_metrics_by_weight(log_es: list[float]) -> None:
    tests = rule(ALL)
    worse: Mapping[str, Any] = dict(zip([*tests.counts, *tests.scores], log_es, strict=True))
    average = sum(tests.weight(name) * math.exp(log_e) for name, log_e in worse.items())
    assert rollback_log_e(tests, worse) == pytest.approx(math.log(average), rel=1e-9, abs=1e-9)
    arrays = {name: np.full(3, log_e) for name, log_e in worse.items()}
    assert rollback_log_e(tests, arrays, np) == pytest.approx(np.full(3, math.log(average)), rel=1e-9, abs=1e-9)
    # Never worse than Bonferroni's correction: any metric alone is enough at its part of alpha.
    assert all(
        rollback_log_e(tests, worse) >= log_e + math.log(tests.weight(name)) - 1e-9 for name, log_e in worse.items()
    )


def test_metrics_that_hang_on_each_other_do_not_roll_back_more_often() -> None:
    """The same requests fail and are refused: the expected e-value is at most 1 all the same."""
    total = 0.0
    for k_c, k_s in itertools.product(range(16), range(13)):
        chance = binomial(15, k_c, 0.2) * binomial(12, k_s, 0.2)
        same = {"refusals": MetricTick(ArmMeasure(k_c, 15), ArmMeasure(k_s, 12))}
        evidence = observe(TWO, begin(TWO, Histogram()), Tick(Arm(15, k_c), Arm(12, k_s), same))
        assert evidence.counted["refusals"].worse == evidence.counted["errors"].worse
        total += chance * math.exp(judge(TWO, evidence).rollback_log_e)
    assert total <= 1.0 + 1e-9


@given(st.floats(0.001, 50.0), st.floats(0.001, 50.0))
def test_the_bars_are_the_inverse_of_what_may_be_wrong(rollback_pct: float, promotion_pct: float) -> None:
    spec = AnalysisSpec(false_rollback_pct=rollback_pct, false_promotion_pct=promotion_pct)
    rollback_at, promote_at = thresholds(spec)
    assert math.exp(rollback_at) == pytest.approx(100.0 / rollback_pct)
    assert math.exp(promote_at) == pytest.approx(100.0 / promotion_pct)


@pytest.mark.parametrize("bad", [0, 3, 25])
def test_a_verdict_falls_exactly_at_its_bar(bad: int) -> None:
    """One bar below the evidence that there is, one above it."""
    evidence = after(ERRORS_ONLY, 10, tick_of(errors=bad))
    found = judge(ERRORS_ONLY, evidence)
    for slack, verdict in ((-1e-9, "FAIL"), (1e-9, "INSUFFICIENT")):
        if found.rollback_log_e > 0:
            bar = 100.0 * math.exp(-(found.rollback_log_e + slack))
            judged = judge(replace(ERRORS_ONLY, false_rollback_pct=bar, false_promotion_pct=1e-9), evidence)
            assert judged.verdict == verdict
    for slack, verdict in ((-1e-9, "PASS"), (1e-9, "INSUFFICIENT")):
        if (log_e := found.promote_log_e["errors"]) > 0:
            bar = 100.0 * math.exp(-(log_e + slack))
            assert judge(replace(ERRORS_ONLY, false_promotion_pct=bar), evidence).verdict == verdict


# --- which verdict comes first ---------------------------------------------------------------------------------------


def test_harm_comes_before_a_broken_split_and_that_before_all_else() -> None:
    broken = (SplitTick(0, 200, 0.5),)
    good, bad = (after(ERRORS_ONLY, 30, replace(tick_of(errors=number), splits=broken)) for number in (0, 20))
    assert judge(ERRORS_ONLY, bad).verdict == "FAIL"
    assert judge(ERRORS_ONLY, good).verdict == "INVALID"
    assert judge(ERRORS_ONLY, replace(good, split=Split())).verdict == "PASS"
    assert judge(ERRORS_ONLY, good, {"errors": "too old"}).verdict == "INVALID"
    assert judge(ERRORS_ONLY, begin_again(ERRORS_ONLY, good)).verdict == "INVALID"
    assert judge(ERRORS_ONLY, enter_step(ERRORS_ONLY, good)).verdict == "INSUFFICIENT"


def test_what_is_held_keeps_from_passing_and_never_from_failing() -> None:
    good, bad = (after(ERRORS_ONLY, 30, tick_of(errors=number)) for number in (0, 20))
    assert judge(ERRORS_ONLY, good, {"errors": "too old"}).verdict == "INSUFFICIENT"
    assert judge(ERRORS_ONLY, bad, {"errors": "too old"}).verdict == "FAIL"


def test_of_what_is_still_learnt_nothing_passes() -> None:
    spec = AnalysisSpec()
    evidence = begin(spec, Histogram({FAST: 150}))  # enough for p50, not for p95
    for _ in range(200):
        evidence = observe(spec, evidence, Tick(Arm(50, 0), Arm(50, 0), share=0.5))
    judged = judge(spec, evidence)
    assert judged.verdict == "INSUFFICIENT"
    assert judged.reason == "latency p95 of the stable release is still being learnt (150 requests)"


# --- the careful share -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=10))
def test_the_careful_share_is_the_larger_of_the_assigned_and_the_realised(ticks: list[tuple[float, int, int]]) -> None:
    """The realised one of all ticks since the share is what it is."""
    exposure = Exposure()
    for index, (share, mine, theirs) in enumerate(ticks):
        exposure = exposure.plus(share, Counts(mine, 0, theirs, 0))
        same = list(itertools.takewhile(lambda tick, share=share: tick[0] == share, reversed(ticks[: index + 1])))  # type: ignore[misc]
        every = sum(mine + theirs for _, mine, theirs in same)
        realised = sum(mine for _, mine, _ in same) / every if every else 0.0
        assert exposure.careful_share == pytest.approx(max(share, realised))


@given(st.floats(0.01, 0.99), st.integers(1, 40), st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
def test_harm_is_never_larger_than_by_the_realised_or_the_assigned_share_alone(
    share: float, n_c: int, n_s: int, k_c: int, k_s: int
) -> None:
    tick = Tick(Arm(n_c, min(k_c, n_c)), Arm(n_s, min(k_s, n_s)), share=share)
    careful = judge(ERRORS_ONLY, observe(ERRORS_ONLY, begin(ERRORS_ONLY, HISTORY), tick)).rollback_log_e
    test, counts = rule(ERRORS_ONLY).counts["errors"], Counts(n_c, min(k_c, n_c), n_s, min(k_s, n_s))
    for assumed in (share, None):
        assert careful <= test.worse_log_e(test.count(test.begin(), counts, assumed)) + 1e-9


def test_what_one_share_hid_another_does_not_bring_out() -> None:
    """While a gateway gives the candidate half although it says 5 %, equal failures are no harm; nor after it has
    begun to say another share."""
    evidence = begin(ERRORS_ONLY, HISTORY)
    for said in (0.05, 0.06, 0.25):
        for _ in range(200):
            evidence = observe(ERRORS_ONLY, evidence, Tick(Arm(50, 2), Arm(50, 2), share=said))
            assert judge(ERRORS_ONLY, evidence).rollback_log_e < 0.5


# --- several candidates against one baseline -------------------------------------------------------------------------


def brute_e_bh(log_es: Mapping[str, float], alpha: float) -> set[str]:
    """The largest set whose every e-value is at least K / (its size times alpha)."""
    best: set[str] = set()
    for size in range(1, len(log_es) + 1):
        for names in itertools.combinations(log_es, size):
            if all(math.exp(log_es[name]) >= len(log_es) / (size * alpha) * (1 - 1e-12) for name in names):
                best = set(names)
    return best


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(-5, 12, allow_subnormal=False), max_size=6),
    st.floats(0.001, 0.3),
)
def test_e_bh_is_the_largest_set_that_brute_force_finds(log_es: dict[str, float], alpha: float) -> None:
    found = e_bh(log_es, alpha)
    assert len(found) == len(brute_e_bh(log_es, alpha))
    assert [log_es[name] for name in found] == sorted((log_es[name] for name in log_es), reverse=True)[: len(found)]


@given(st.dictionaries(st.sampled_from("abcde"), st.floats(-5, 12), min_size=1), st.floats(0.001, 0.3), st.data())
def test_more_evidence_finds_no_fewer(log_es: dict[str, float], alpha: float, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(log_es)))
    more = {**log_es, name: log_es[name] + data.draw(st.floats(0, 10))}
    assert set(e_bh(log_es, alpha)) <= set(e_bh(more, alpha))
    assert set(e_bh(log_es, alpha)) <= set(e_bh(log_es, min(0.5, 2 * alpha)))


@pytest.mark.parametrize("true", [(), ("d",), ("c", "d")])
@pytest.mark.parametrize("together", [True, False])
def test_false_discoveries_stay_below_their_share(true: tuple[str, ...], together: bool) -> None:
    """The exact expectation over e-values that are worth 1 on average: each is v with probability 1/v, else 0. Those
    that are really worse always have 1,000."""
    alpha, fdr = 0.1, 0.0
    nulls = [name for name in "abcd" if name not in true]
    for v in (20.0, 40.0, 4.0 / alpha / 2.0):
        fdr = 0.0
        for hits in itertools.product((True, False), repeat=len(nulls)):
            if together and len(set(hits)) > 1:
                continue
            chance = (
                (1 / v if hits[0] else 1 - 1 / v)
                if together
                else math.prod(1 / v if hit else 1 - 1 / v for hit in hits)
            )
            log_es = dict.fromkeys(true, math.log(1000.0))
            log_es |= {name: math.log(v) if hit else -700.0 for name, hit in zip(nulls, hits, strict=True)}
            found = e_bh(log_es, alpha)
            fdr += chance * sum(name in nulls for name in found) / max(1, len(found))
        assert fdr <= alpha + 1e-12


@pytest.mark.parametrize("extreme", [-1e9, 1e9])
def test_e_bh_takes_any_evidence(extreme: float) -> None:
    assert e_bh({"a": extreme, "b": 0.0}, 0.01) == (("a",) if extreme > 0 else ())


# --- what would have changed it --------------------------------------------------------------------------------------

SAVED = re.compile(r"with ([\d,]+) instead of ([\d,]+) it would have gone on")
PROVEN = re.compile(r"at these rates about ([\d,]+) more candidate requests? proves? it")


@pytest.mark.parametrize("kind", ["errors", "slow", "refusals"])
@given(st.integers(10, 50), st.integers(0, 3))
@settings(max_examples=20)
def test_what_would_have_saved_it_is_exact_on_every_count(kind: str, bad: int, stable_bad: int) -> None:
    """The newest tick with so many fewer, and one more than that."""
    spec = AnalysisSpec(
        errors=ErrorsSpec() if kind == "errors" else None,
        latency=LatencySpec(quantiles=(0.95,)) if kind == "slow" else None,
        metrics=(REFUSALS,) if kind == "refusals" else (),
    )

    def judged(number: int) -> Judgement:
        tick = tick_of(**{kind: number})
        stable = Arm(50, stable_bad, Histogram({FAST: 50 - stable_bad, SLOW: stable_bad}))
        own = {"refusals": MetricTick(tick.metrics["refusals"].candidate, ArmMeasure(stable_bad, 50))}
        # The gateway says more than it gives: its own metrics are counted by what it says.
        return judge(spec, after(spec, 1, replace(tick, stable=stable, metrics=own, share=0.6)))

    found = judged(bad)
    told = SAVED.fullmatch(found.what_if)
    if found.verdict != "FAIL":
        assert told is None
        return
    assert told is not None
    assert int(told[2]) == bad
    assert judged(int(told[1])).verdict != "FAIL"
    assert judged(int(told[1]) + 1).verdict == "FAIL"


def test_of_scores_and_answers_it_is_not_told_what_would_have_saved_it() -> None:
    for kind in ("helpful", "answers"):
        judged = judge(ALL, after(ALL, 60, tick_of(**{kind: 45}), 5.0))
        assert (judged.verdict, judged.what_if) == ("FAIL", "")


@pytest.mark.parametrize("kind", ["errors", "slow", "refusals", "helpful"])
def test_what_would_prove_it_comes_true_of_every_metric(kind: str) -> None:
    metrics = tuple(metric for metric in (REFUSALS, HELPFUL) if metric.name == kind)
    spec = AnalysisSpec(
        errors=ErrorsSpec(acceptable_pct=0.0 if kind == "slow" else 1.0) if kind == "errors" else None,
        latency=LatencySpec(quantiles=(0.95,)) if kind == "slow" else None,
        metrics=metrics,
    )
    # Of slow requests one tick nearly is enough.
    ticks = 1 if kind == "slow" else 2
    told = PROVEN.fullmatch(judge(spec, after(spec, ticks, tick_of())).what_if)
    assert told is not None
    more = int(told[1].replace(",", "")) / 50
    assert judge(spec, after(spec, ticks + math.ceil(1.05 * more), tick_of())).verdict == "PASS"
    # Bets on scores know more of the stable release later on: then fewer may be enough.
    if kind != "helpful":
        assert judge(spec, after(spec, ticks + math.floor(0.7 * more), tick_of())).verdict == "INSUFFICIENT"


def test_what_would_prove_it_is_what_proves_the_slowest_of_all() -> None:
    evidence = after(TWO, 1, tick_of())
    told = PROVEN.fullmatch(judge(TWO, evidence).what_if)
    assert told is not None
    more = int(told[1].replace(",", "")) / 50
    assert judge(TWO, after(TWO, 1 + math.ceil(1.05 * more), tick_of())).verdict == "PASS"


@pytest.mark.parametrize("kind", ["errors", "refusals", "helpful"])
def test_what_never_can_be_proven_is_called_so(kind: str) -> None:
    metrics = tuple(metric for metric in (REFUSALS, HELPFUL) if metric.name == kind)
    spec = AnalysisSpec(errors=ErrorsSpec() if kind == "errors" else None, latency=None, metrics=metrics)
    bad: dict[str, int] = {kind: 5}
    evidence = after(spec, 1, tick_of(**bad))
    judged = judge(replace(spec, false_rollback_pct=1e-9), evidence)
    assert judged.what_if == f"at these rates no number of requests proves {kind}"


@given(st.lists(st.tuples(small, small, small, small), min_size=1, max_size=6))
def test_rates_are_those_of_the_whole_rollout(ticks: list[tuple[int, int, int, int]]) -> None:
    evidence = begin(ERRORS_ONLY, HISTORY)
    for g_c, k_c, g_s, k_s in ticks:
        tick = Tick(Arm(g_c + k_c, k_c), Arm(g_s + k_s, k_s), share=0.5)
        evidence = enter_step(ERRORS_ONLY, observe(ERRORS_ONLY, evidence, tick))
    n_c, n_s = sum(t[0] + t[1] for t in ticks), sum(t[2] + t[3] for t in ticks)
    if n_c + n_s == 0:
        assert judge(ERRORS_ONLY, evidence).rates == {}
        return
    mine, theirs = judge(ERRORS_ONLY, evidence).rates["errors"]
    assert mine == pytest.approx(sum(t[1] for t in ticks) / n_c if n_c else 0.0)
    assert theirs == pytest.approx(sum(t[3] for t in ticks) / n_s if n_s else 0.0)


@pytest.mark.parametrize("unit", ["request", "user"])
def test_sentences_name_what_was_counted(unit: Literal["request", "user"]) -> None:
    from trimtab.core.model.traffic import UserCounts

    spec = replace(ERRORS_ONLY, unit=unit)
    users = UserCounts(50, 25), UserCounts(50, 0)
    judged = judge(spec, after(spec, 4, Tick(Arm(50, 25, users=users[0]), Arm(50, 0, users=users[1]), share=0.5)))
    counted = "request" if unit == "request" else "user-second"
    assert f"50 % of 200 candidate {counted}s against 0 % of 200 stable {counted}s failed" in judged.reason


def test_the_offender_is_the_metric_that_weighs_most() -> None:
    """Errors have most of the wealth: with them, less evidence is more."""
    lists = {"errors": 12.0, "refusals": 12.5}
    evidence = begin(TWO, Histogram())
    tests = rule(TWO)
    counted = {
        name: replace(evidence.counted[name], worse=(log_e,) * len(tests.counts[name].begin().worse))
        for name, log_e in lists.items()
    }
    assert judge(TWO, replace(evidence, counted=counted)).offender == "errors"


def test_what_two_metrics_show_each_would_not_have_been_saved_by_one() -> None:
    both = judge(TWO, after(TWO, 10, tick_of(errors=25, refusals=25)))
    assert (both.verdict, both.what_if) == ("FAIL", "")
    assert judge(TWO, after(TWO, 10, tick_of(errors=25))).what_if != ""


@pytest.mark.parametrize("kind", ["events", "score"])
def test_of_numbers_that_came_before_the_step_nothing_is_proven(kind: str) -> None:
    spec = AnalysisSpec(errors=None, latency=None, metrics=(REFUSALS if kind == "events" else HELPFUL,))
    tick = tick_of()
    old = {name: replace(metric, proves=False) for name, metric in tick.metrics.items()}
    assert judge(spec, after(spec, 60, tick)).verdict == "PASS"
    unproven = judge(spec, after(spec, 60, replace(tick, metrics=old)))
    assert unproven.verdict == "INSUFFICIENT"
    assert list(unproven.promote_log_e.values()) == pytest.approx([0.0], abs=1e-12)
    harmful = tick_of(refusals=25, helpful=25)
    old = {name: replace(metric, proves=False) for name, metric in harmful.metrics.items()}
    assert judge(spec, after(spec, 60, replace(harmful, metrics=old))).verdict == "FAIL"


@pytest.mark.parametrize("ticks", [1, 200])
def test_a_billion_in_one_tick_or_in_many(ticks: int) -> None:
    each = 10**9 // ticks
    latency = Histogram({FAST: each})
    metrics = {
        "refusals": MetricTick(ArmMeasure(each // 100, each), ArmMeasure(each // 100, each)),
        "helpful": MetricTick(ArmMeasure(scores={80: each}), ArmMeasure(scores={80: each})),
    }
    tick = Tick(
        Arm(each, each // 100, latency),
        Arm(each, each // 100, latency),
        metrics,
        (SplitTick(each, each, 0.5),),
        PairTick(each, each // 100),
        0.5,
    )
    judged = judge(ALL, after(ALL, ticks, tick, 5.0))
    assert judged.verdict == "PASS"
    assert math.isfinite(judged.rollback_log_e)
    assert all(math.isfinite(log_e) for log_e in judged.promote_log_e.values())
