"""The settings of an environment to an `EnvironmentSpec`."""

from __future__ import annotations

from trimtab.config.admission import Freeze, Group, Window
from trimtab.config.compiling_strategy import strategy
from trimtab.config.defaults import ENVIRONMENT, METRIC
from trimtab.config.environment import Analysis, Environment, Errors, Latency, Sticky
from trimtab.config.metrics import Metric
from trimtab.config.quantities import parse_listen
from trimtab.config.require import Require
from trimtab.core.model.specification import (
    AnalysisSpec,
    BudgetSpec,
    EnvironmentSpec,
    ErrorsSpec,
    FreezeSpec,
    GroupSpec,
    LatencySpec,
    MetricSpec,
    RequireSpec,
    SourceSpec,
    StickySpec,
    WindowSpec,
)


def environment(name: str, settings: Environment, replicas: int, *, last: bool) -> EnvironmentSpec:
    """`replicas`: the service's; `last`: whether it is the last environment of the file."""
    host, port = ENVIRONMENT.host, settings.port
    if settings.listen is not None:
        host, port = parse_listen(settings.listen)
    return EnvironmentSpec(
        name=name,
        port=port,
        host=host,
        strategy=strategy(settings, settings.replicas or replicas, last=last),
        analysis=_analysis(settings.analysis, by_user=settings.sticky is not None),
        env=settings.env,
        replicas=settings.replicas,
        sticky=_sticky(settings.sticky),
        windows=tuple(map(_window, settings.windows)),
        freezes=tuple(map(_freeze, settings.freezes)),
        budget=BudgetSpec(settings.budget.objective, settings.budget.days) if settings.budget else None,
        group=_group(settings.group) if settings.group else None,
        require=_require(settings.require),
    )


def _analysis(analysis: Analysis, *, by_user: bool) -> AnalysisSpec:
    count = analysis.count or ("users" if by_user else "requests")
    return AnalysisSpec(
        errors=_errors(analysis.errors) if analysis.errors else None,
        latency=_latency(analysis.latency) if analysis.latency else None,
        metrics=tuple(_metric(name, metric) for name, metric in analysis.metrics.items()),
        unit="user" if count == "users" else "request",
        split_check=analysis.split_check,
        false_rollback_pct=analysis.false_rollback,
        false_promotion_pct=analysis.false_promotion,
    )


def _errors(errors: Errors) -> ErrorsSpec:
    return ErrorsSpec(margin_ratio=errors.margin, acceptable_pct=errors.acceptable)


def _latency(latency: Latency) -> LatencySpec:
    return LatencySpec(
        quantiles=tuple(latency.quantiles),
        margin_ratio=latency.margin,
        tolerance_pct=latency.tolerance,
        floor_ms=round(latency.floor * 1000, 3),
        measure=latency.measure,
    )


def _metric(name: str, metric: Metric) -> MetricSpec:
    if metric.events is not None:
        queries = {"bad": metric.events.bad, "all": metric.events.all}
    elif metric.score is not None:
        queries = {"scores": metric.score}
    else:
        queries = {"bad": metric.rate or ""}
    kind, url = metric.source
    source = SourceSpec(
        kind=kind,
        url=url,
        queries=queries,
        headers=metric.headers,
        every_s=metric.every,
        timeout_s=metric.timeout,
        fresh_s=metric.fresh,
    )
    is_score = metric.kind == "score"
    return MetricSpec(
        name,
        metric.kind,
        source,
        margin_ratio=metric.margin if metric.margin is not None and not is_score else METRIC.margin_ratio,
        acceptable_pct=metric.acceptable or 0.0,
        margin=metric.margin if metric.margin is not None and is_score else METRIC.margin,
    )


def _sticky(sticky: Sticky | None) -> StickySpec | None:
    if sticky is None:
        return None
    if sticky.cookie is not None:
        return StickySpec(kind="cookie", name=sticky.cookie)
    assert sticky.header is not None
    return StickySpec(kind="header", name=sticky.header)


def _require(require: Require) -> RequireSpec:
    return RequireSpec(require.provenance, tuple(require.gates), require.max_age, tuple(require.builders))


def _window(window: Window) -> WindowSpec:
    rule, start, for_s = window.spelled_out()
    return WindowSpec(rule, start, for_s, window.zone)


def _freeze(freeze: Freeze) -> FreezeSpec:
    begin, end = freeze.span_s()
    return FreezeSpec(begin, end, freeze.reason)


def _group(group: Group) -> GroupSpec:
    return GroupSpec(group.name, tuple(group.members), group.gather)
