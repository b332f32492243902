"""Is the candidate worse than the stable release, or proven not to be?

Rollback averages the e-values of all metrics (valid however they depend on each other) over the whole rollout, so the
probability of ever rolling back a candidate that is no worse is at most `false_rollback_pct`, at any number of looks.
Promotion needs every metric to be proven non-inferior on the evidence of the current step alone; needing all of them
costs no correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.model.facts import VerdictName
from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.stats import explain
from trimtab.core.stats.eprocess import SCALARS, log_mean
from trimtab.core.stats.evidence import Evidence, learning_metrics
from trimtab.core.stats.rule import ANSWERS, Rule, rule

_LOWEST = -1e9
"""Written instead of minus infinity: JSON knows no such number."""


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
    what_if: str = ""
    """What would have changed the verdict, or would change it."""
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By metric: candidate and stable release over the whole rollout; shares, or mean scores, between 0 and 1 (of a
    ``rate``: how many events for each per cent of the traffic)."""


def judge(spec: AnalysisSpec, evidence: Evidence, held: Mapping[str, str] | None = None) -> Judgement:
    """FAIL once the candidate is proven worse; INVALID while the split is broken; PASS once the candidate is proven
    good enough on every metric; else INSUFFICIENT.

    `held`: metrics whose numbers are no evidence now, with the reason. They keep the verdict from PASS, never make it
    FAIL.
    """
    tests = rule(spec, evidence.answers_limit_pct)
    rollback_at, promote_at = thresholds(spec)
    worse, promote = _log_es(tests, evidence)
    rollback = rollback_log_e(tests, worse) if worse else _LOWEST
    offender = what_if = ""
    if rollback >= rollback_at:
        verdict: VerdictName = "FAIL"
        offender = max(worse, key=lambda name: worse[name] + math.log(tests.weight(name)))
        reason = explain.why_worse(spec, evidence, offender, rollback)
        what_if = explain.what_would_have_saved(tests, evidence, offender, worse, rollback_at)
    elif evidence.split.broken:
        verdict, reason = "INVALID", explain.why_invalid(evidence.split)
    elif missing := _missing(spec, evidence, held or {}):
        verdict, reason = "INSUFFICIENT", missing
    elif unproven := [name for name, log_e in promote.items() if log_e < promote_at]:
        verdict, reason = "INSUFFICIENT", explain.not_proven(evidence, unproven, promote, promote_at)
        what_if = explain.what_would_prove(tests, evidence, unproven, promote_at)
    else:
        verdict, reason = "PASS", explain.why_good(spec, evidence)
    return Judgement(
        verdict,
        reason,
        offender,
        max(rollback, _LOWEST),
        rollback_at,
        promote,
        promote_at,
        what_if,
        explain.rates(evidence),
    )


def _log_es(tests: Rule, evidence: Evidence) -> tuple[dict[str, float], dict[str, float]]:
    """By metric: the evidence that the candidate is worse, and that it is good enough."""
    worse = {name: tests.counts[name].worse_log_e(counted) for name, counted in evidence.counted.items()}
    worse |= {name: tests.scores[name].worse_log_e(scored) for name, scored in evidence.scored.items()}
    promote = {name: tests.counts[name].promote_log_e(counted) for name, counted in evidence.counted.items()}
    promote |= {name: tests.scores[name].promote_log_e(scored) for name, scored in evidence.scored.items()}
    if not evidence.comparing:
        promote.pop(ANSWERS, None)
    return worse, promote


def thresholds(spec: AnalysisSpec) -> tuple[float, float]:
    """The logarithms of evidence at which a candidate is rolled back, and at which a metric is proven."""
    return -math.log(spec.false_rollback_pct / 100.0), -math.log(spec.false_promotion_pct / 100.0)


def rollback_log_e(tests: Rule, worse: Mapping[str, Any], xp: Any = SCALARS) -> Any:
    """The weighted average of the metrics' e-values."""
    return log_mean(list(worse.values()), [tests.weight(name) for name in worse], xp)


def e_bh(log_es: Mapping[str, float], alpha: float) -> tuple[str, ...]:
    """Of several candidates against one baseline, those that are proven worse, with a false discovery rate of at most
    `alpha` however the e-values depend on each other: the k largest with e >= K / (k alpha). Wang & Ramdas (2022)."""
    order = sorted(log_es, key=lambda name: -log_es[name])
    found = [k for k, name in enumerate(order, 1) if log_es[name] >= math.log(len(order) / (k * alpha))]
    return tuple(order[: found[-1]]) if found else ()


def _missing(spec: AnalysisSpec, evidence: Evidence, held: Mapping[str, str]) -> str:
    """Why there can be no verdict yet, whatever the evidence says; empty when there can."""
    if not evidence.has_metrics:
        return ""
    if evidence.step_requests == 0:
        return "no request reached the candidate yet: without data there is no verdict"
    for name, why in held.items():
        return f"{name} cannot be judged now: {why}"
    for name in learning_metrics(spec, evidence):
        return explain.still_learning(evidence, name)
    return ""
