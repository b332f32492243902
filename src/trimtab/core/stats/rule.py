"""Which tests a specification asks for, and how the wealth is spread over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.stats.counted import CountTest
from trimtab.core.stats.eprocess import rate_above, rate_below, within_margin, worse_than_stable
from trimtab.core.stats.latency import quantile_name
from trimtab.core.stats.scores import ScoreTest

ERRORS, ANSWERS = "errors", "answers"
"""The metrics of the gateway beside those of latency: failed requests, and mirrored answers that differ."""

_ERRORS_PART, _LATENCY_PART, _OTHER_PART = 9.0, 1.0, 2.0
"""Most of the wealth is on errors; latency's part is spread over its quantiles. Half the wealth costs log 2 of the
log 100 that a rollback needs: 15 % more requests."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The tests by metric. Weights add up to 1."""

    counts: Mapping[str, CountTest]
    scores: Mapping[str, ScoreTest]

    def weight(self, name: str) -> float:
        return self.counts[name].weight if name in self.counts else self.scores[name].weight


def rule(spec: AnalysisSpec, answers_limit_pct: float | None = None) -> Rule:
    """The tests of a specification. `answers_limit_pct`: how many mirrored answers may differ; None: not compared."""
    parts = _parts(spec, answers_limit_pct is not None)
    whole = sum(parts.values())
    weights = {name: part / whole for name, part in parts.items()}
    counts = {name: _count_test(spec, name, weight) for name, weight in weights.items() if _of_gateway(spec, name)}
    scores: dict[str, ScoreTest] = {}
    for own in spec.metrics:
        weight, limit = weights[own.name], own.acceptable_pct / 100.0
        if own.kind == "score":
            scores[own.name] = ScoreTest(weight, own.margin)
        else:
            below = rate_below(limit) if own.kind == "events" and 0 < limit < 1 else None
            counts[own.name] = CountTest(weight, worse_than_stable(), within_margin(own.margin_ratio), below)
    if answers_limit_pct is not None:
        limit = min(0.99, max(1e-4, answers_limit_pct / 100.0))
        counts[ANSWERS] = CountTest(weights[ANSWERS], rate_above(limit), None, rate_below(limit))
    return Rule(counts, scores)


def _parts(spec: AnalysisSpec, answers: bool) -> dict[str, float]:
    parts: dict[str, float] = {}
    if spec.errors is not None:
        parts[ERRORS] = _ERRORS_PART
    if spec.latency is not None:
        each = _LATENCY_PART / len(spec.latency.quantiles)
        parts |= {quantile_name(quantile): each for quantile in spec.latency.quantiles}
    parts |= {own.name: _OTHER_PART for own in spec.metrics}
    return parts | ({ANSWERS: _OTHER_PART} if answers else {})


def _of_gateway(spec: AnalysisSpec, name: str) -> bool:
    return name != ANSWERS and all(own.name != name for own in spec.metrics)


def _count_test(spec: AnalysisSpec, name: str, weight: float) -> CountTest:
    if name == ERRORS:
        assert spec.errors is not None
        limit = spec.errors.acceptable_pct / 100.0
        below = rate_below(limit) if 0 < limit < 1 else None
        return CountTest(weight, worse_than_stable(), within_margin(spec.errors.margin_ratio), below)
    assert spec.latency is not None
    quantile = next(q for q in spec.latency.quantiles if quantile_name(q) == name)
    # A share 1-q of the stable release's own requests was slower than its quantile q: the margin is on that.
    limit = min(0.95, spec.latency.margin_ratio * (1.0 - quantile))
    return CountTest(weight, worse_than_stable(), within_margin(spec.latency.margin_ratio), rate_below(limit))
