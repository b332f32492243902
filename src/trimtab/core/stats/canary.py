"""Is the candidate worse than the stable release, or proven not to be? Ticks of counts in, a Verdict out.

Rollback averages the e-values of all metrics (valid however they depend on each other) over the whole rollout, so the
probability of ever rolling back a candidate that is no worse is at most `false_rollback_pct`, at any number of looks.
Promotion needs every metric to be proven non-inferior on the evidence of the current step alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from trimtab.core.model.facts import VerdictName
from trimtab.core.model.specification import AnalysisSpec, LatencySpec
from trimtab.core.say import count, milliseconds, percent
from trimtab.core.stats.eprocess import (
    NOTHING,
    Counts,
    EventShareMixture,
    LogWealth,
    RateBelow,
    log_mean,
    within_margin,
    worse_than_stable,
)
from trimtab.core.stats.histogram import Histogram, bucket_of, lower_edge_us

STRATUM_REQUESTS = 20
"""Fewer requests than this are not a tick of their own: with realised shares a tick of one request says nothing."""

_WORSE = worse_than_stable()
LATENCY_WEIGHT = 0.2
"""The part of the wealth that latency gets when errors are judged too."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm did in one tick."""

    requests: int
    errors: int
    latency: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bucket edges beyond which a request is slow, fixed before the data they are applied to."""

    stable: int
    candidate: int


@dataclass(frozen=True, slots=True)
class Metric:
    """The evidence on one kind of bad event. `whole` counts over the rollout, `step` since the step began."""

    worse: LogWealth
    within_margin: LogWealth
    below_limit: LogWealth
    whole: Counts = NOTHING
    step: Counts = NOTHING
    threshold: Threshold | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything counted so far. `learning` is the stable release's latency until all thresholds are fixed."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    learning: Histogram = field(default_factory=Histogram)
    step_requests: int = 0
    """Candidate requests counted in the current step."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it rests on; logarithms are natural."""

    verdict: VerdictName
    reason: str
    offender: str
    rollback_log_e: float
    rollback_at: float
    promote_log_e: Mapping[str, float]
    promote_at: float


@dataclass(frozen=True, slots=True)
class MetricTest:
    """How one metric is tested: its share of the wealth that may be lost on false alarms, and the proofs of being good
    enough: within the margin of the stable release, or below a limit whatever that one does."""

    weight: float
    within: EventShareMixture
    below: RateBelow | None

    def promote_log_e(self, metric: Metric) -> float:
        within = self.within.log_e(metric.within_margin)
        if self.below is None:
            return within
        return log_mean((within, self.below.log_e(metric.below_limit)), (0.5, 0.5))


@lru_cache
def metric_tests(spec: AnalysisSpec) -> Mapping[str, MetricTest]:
    """The test of each metric that is on. Most of the wealth is on errors; the quantiles of latency share the rest."""
    made: dict[str, MetricTest] = {}
    on_latency = 0.0 if spec.latency is None else (LATENCY_WEIGHT if spec.errors is not None else 1.0)
    if spec.errors is not None:
        limit = spec.errors.acceptable_pct / 100.0
        below = RateBelow(limit) if limit > 0 else None
        made["errors"] = MetricTest(1.0 - on_latency, within_margin(spec.errors.margin_ratio), below)
    if spec.latency is not None:
        for quantile in spec.latency.quantiles:
            # A share 1-q of the stable release's own requests was slower than its quantile q: the margin is on that.
            limit = min(0.95, spec.latency.margin_ratio * (1.0 - quantile))
            weight = on_latency / len(spec.latency.quantiles)
            within = within_margin(spec.latency.margin_ratio)
            made[quantile_name(quantile)] = MetricTest(weight, within, RateBelow(limit))
    return made


def quantile_name(quantile: float) -> str:
    """``latency p95``, ``latency p99.9``."""
    return f"latency p{quantile * 100:g}"


def begin(spec: AnalysisSpec, history: Histogram) -> Evidence:
    """Evidence before the first request. `history` is the stable release's recent latency (may be empty)."""
    metrics = {name: _fresh(test) for name, test in metric_tests(spec).items()}
    return _fix_thresholds(spec, Evidence(metrics, learning=history))


def enter_step(spec: AnalysisSpec, evidence: Evidence) -> Evidence:
    """No step passes on evidence from another step: promotion starts from nothing, rollback keeps what it knows."""
    metrics = {}
    for name, metric in evidence.metrics.items():
        fresh = _fresh(metric_tests(spec)[name])
        metrics[name] = replace(metric, within_margin=fresh.within_margin, below_limit=fresh.below_limit, step=NOTHING)
    return replace(evidence, metrics=metrics, step_requests=0)


def observe(spec: AnalysisSpec, evidence: Evidence, candidate: Arm, stable: Arm) -> Evidence:
    """The evidence after one tick of both arms."""
    metrics = dict(evidence.metrics)
    for name, metric in evidence.metrics.items():
        if name == "errors":
            tick = Counts(candidate.requests, candidate.errors, stable.requests, stable.errors)
        elif metric.threshold is not None:
            tick = _slow(metric.threshold, candidate.latency, stable.latency)
        else:
            continue
        metrics[name] = _count(metric_tests(spec)[name], metric, tick)
    # The tick that completes the learning is not judged by the thresholds it set: they must come before the data.
    learning = evidence.learning if _learnt(evidence) else evidence.learning.plus(stable.latency)
    counted = replace(
        evidence, metrics=metrics, learning=learning, step_requests=evidence.step_requests + candidate.requests
    )
    return _fix_thresholds(spec, counted)


def judge(spec: AnalysisSpec, evidence: Evidence) -> Judgement:
    """FAIL once the candidate is proven worse; PASS once proven good enough on every metric; else INSUFFICIENT."""
    rollback_at = -math.log(spec.false_rollback_pct / 100.0)
    promote_at = -math.log(spec.false_promotion_pct / 100.0)
    test_of = metric_tests(spec)
    worse = {name: _WORSE.log_e(metric.worse) for name, metric in evidence.metrics.items()}
    rollback = log_mean(list(worse.values()), [test_of[name].weight for name in worse]) if worse else -math.inf
    promote = {name: test_of[name].promote_log_e(metric) for name, metric in evidence.metrics.items()}

    def judgement(verdict: VerdictName, reason: str, offender: str = "") -> Judgement:
        return Judgement(verdict, reason, offender, max(rollback, -1e9), rollback_at, promote, promote_at)

    if rollback >= rollback_at:
        offender = max(worse, key=lambda name: worse[name] + math.log(test_of[name].weight))
        return judgement("FAIL", _why_worse(spec, evidence.metrics[offender], offender, rollback), offender)
    if missing := _not_proven(evidence, promote, promote_at):
        return judgement("INSUFFICIENT", missing)
    return judgement("PASS", _why_good(spec, evidence))


def latency_limit_ms(metric: Metric) -> float | None:
    """What a candidate's request may take before it counts as slow; None while that is being learnt or for errors."""
    return None if metric.threshold is None else lower_edge_us(metric.threshold.candidate) / 1000.0


def _fresh(test: MetricTest) -> Metric:
    return Metric(_WORSE.start(), test.within.start(), test.below.start() if test.below else ())


def _count(test: MetricTest, metric: Metric, tick: Counts) -> Metric:
    return Metric(
        worse=_WORSE.update(metric.worse, tick),
        within_margin=test.within.update(metric.within_margin, tick),
        below_limit=test.below.update(metric.below_limit, tick) if test.below else (),
        whole=metric.whole.plus(tick),
        step=metric.step.plus(tick),
        threshold=metric.threshold,
    )


def _slow(threshold: Threshold, candidate: Histogram, stable: Histogram) -> Counts:
    return Counts(
        candidate.total,
        candidate.at_or_above(threshold.candidate),
        stable.total,
        stable.at_or_above(threshold.stable),
    )


def _learnt(evidence: Evidence) -> bool:
    return all(metric.threshold is not None for name, metric in evidence.metrics.items() if name != "errors")


def _needed(quantile: float) -> int:
    """Requests of the stable release before its quantile is known well enough to be a threshold."""
    return max(100, math.ceil(10.0 / (1.0 - quantile)))


def _fix_thresholds(spec: AnalysisSpec, evidence: Evidence) -> Evidence:
    if spec.latency is None or _learnt(evidence):
        return evidence
    metrics = dict(evidence.metrics)
    known = evidence.learning.total
    for quantile in spec.latency.quantiles:
        name = quantile_name(quantile)
        if metrics[name].threshold is None and known >= _needed(quantile):
            metrics[name] = replace(metrics[name], threshold=_threshold(spec.latency, evidence.learning, quantile))
    learnt = replace(evidence, metrics=metrics)
    return replace(learnt, learning=Histogram()) if _learnt(learnt) else learnt


def _threshold(spec: LatencySpec, history: Histogram, quantile: float) -> Threshold:
    stable = history.quantile_bucket(quantile)
    assert stable is not None
    edge_us = lower_edge_us(stable)
    slow_us = max(edge_us * (1.0 + spec.tolerance_pct / 100.0), edge_us + spec.floor_ms * 1000.0)
    return Threshold(stable, max(stable, bucket_of(slow_us) + 1))


def _not_proven(evidence: Evidence, promote: Mapping[str, float], promote_at: float) -> str:
    """What is still missing for PASS, as a sentence; empty when nothing is."""
    if evidence.step_requests == 0 and evidence.metrics:
        return "no request reached the candidate yet: without data there is no verdict"
    learning = [name for name, m in evidence.metrics.items() if name != "errors" and m.threshold is None]
    if learning:
        return (
            f"{learning[0]} of the stable release is still being learnt ({count(evidence.learning.total, 'request')})"
        )
    open_names = [name for name, log_e in promote.items() if log_e < promote_at]
    if not open_names:
        return ""
    sureness = ", ".join(f"{name} {percent(max(0.0, promote[name] / promote_at))}" for name in open_names)
    return (
        f"not proven yet after {count(evidence.step_requests, 'candidate request')}: {sureness} of the evidence needed"
    )


def _rates(counts: Counts) -> tuple[float, float]:
    return (
        counts.bad_candidate / counts.all_candidate if counts.all_candidate else 0.0,
        counts.bad_stable / counts.all_stable if counts.all_stable else 0.0,
    )


def _why_worse(spec: AnalysisSpec, metric: Metric, name: str, log_e: float) -> str:
    candidate, stable = _rates(metric.whole)
    sure = f"the chance of saying so of a candidate that is no worse is below {percent(spec.false_rollback_pct / 100)}"
    compared = (
        f"{percent(candidate)} of {count(metric.whole.all_candidate, 'candidate request')}"
        f" against {percent(stable)} of {count(metric.whole.all_stable, 'stable request')}"
    )
    if name == "errors":
        return f"the candidate fails more often: {compared} failed; {sure} (e = {_e_value(log_e)})"
    assert metric.threshold is not None
    limits = (
        f"{milliseconds(lower_edge_us(metric.threshold.candidate) / 1000)} on the candidate,"
        f" {milliseconds(lower_edge_us(metric.threshold.stable) / 1000)} on stable"
    )
    quantile = name.removeprefix("latency ")
    return f"the candidate is slower at {quantile}: {compared} took over {limits}; {sure} (e = {_e_value(log_e)})"


def _why_good(spec: AnalysisSpec, evidence: Evidence) -> str:
    said = []
    for name, metric in evidence.metrics.items():
        candidate, stable = _rates(metric.step)
        if metric.threshold is None:
            said.append(f"{percent(candidate)} failed (stable {percent(stable)})")
        else:
            slow, limit = name.removeprefix("latency "), lower_edge_us(metric.threshold.candidate) / 1000
            said.append(f"{percent(candidate)} were over the {slow} limit of {milliseconds(limit)}")
    if not said:
        return "no analysis is configured"
    requests = count(evidence.step_requests, "candidate request")
    sure = f"each within its margin, wrong at most {percent(spec.false_promotion_pct / 100)} of the time"
    return f"of {requests} {', '.join(said)}: {sure}"


def _e_value(log_e: float) -> str:
    return f"{math.exp(log_e):.0f}" if log_e < 14 else f"10^{log_e / math.log(10):.0f}"
