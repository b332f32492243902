"""A valid file to a `Specification`: every default filled in, every unit in the name."""

from __future__ import annotations

from trimtab.config.application import Release, Service, Step
from trimtab.config.configuration import ConfigurationFile
from trimtab.config.defaults import CANARY, ENVIRONMENT
from trimtab.config.environment import Analysis, Canary, Environment, Errors, Latency, Sticky, Strategy
from trimtab.config.quantities import parse_listen
from trimtab.core.model.specification import (
    AnalysisSpec,
    EnvironmentSpec,
    ErrorsSpec,
    LatencySpec,
    ReleaseSpec,
    ServiceSpec,
    Specification,
    StepSpec,
    StickySpec,
)
from trimtab.core.model.strategy import RolloutStep, StrategySpec

_INSTANT = StrategySpec(kind="instant", steps=())


def compile_file(file: ConfigurationFile) -> Specification:
    """The specification that the file describes."""
    last = list(file.environments)[-1]
    return Specification(
        app=file.app,
        service=_service(file.service),
        environments=tuple(
            _environment(name, environment, last=name == last) for name, environment in file.environments.items()
        ),
        steps=tuple(_step(name, step) for name, step in file.pipeline.items()),
        release=_release(file.release),
        on_newer_change=file.on_newer_change,
    )


def _service(service: Service) -> ServiceSpec:
    return ServiceSpec(
        command=service.command,
        port_env=service.port,
        health_path=service.health.path,
        health_timeout_s=service.health.timeout,
        env=service.env,
        replicas=service.replicas,
        drain_timeout_s=service.drain,
        stop_timeout_s=service.stop_timeout,
    )


def _step(name: str, step: Step) -> StepSpec:
    return StepSpec(
        name=name, run=step.run, needs=tuple(step.needs), env=step.env, timeout_s=step.timeout, retries=step.retry
    )


def _release(release: Release) -> ReleaseSpec:
    return ReleaseSpec(parts={name: tuple(paths) for name, paths in release.parts.items()}, model=release.model)


def _environment(name: str, environment: Environment, *, last: bool) -> EnvironmentSpec:
    host, port = ENVIRONMENT.host, environment.port
    if environment.listen is not None:
        host, port = parse_listen(environment.listen)
    return EnvironmentSpec(
        name=name,
        port=port,
        host=host,
        strategy=_strategy(environment.strategy, last=last),
        analysis=_analysis(environment.analysis),
        env=environment.env,
        replicas=environment.replicas,
        sticky=_sticky(environment.sticky),
    )


def _strategy(strategy: Strategy | None, *, last: bool) -> StrategySpec:
    if strategy is None:
        return CANARY if last else _INSTANT
    return _INSTANT if strategy.canary is None else _canary(strategy.canary)


def _canary(canary: Canary) -> StrategySpec:
    steps = tuple(
        RolloutStep(weight_pct=step.weight, hold_s=step.hold, requests=step.requests) for step in canary.steps
    )
    return StrategySpec(kind="canary", steps=steps, deadline_s=canary.deadline)


def _analysis(analysis: Analysis) -> AnalysisSpec:
    return AnalysisSpec(
        errors=_errors(analysis.errors) if analysis.errors else None,
        latency=_latency(analysis.latency) if analysis.latency else None,
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


def _sticky(sticky: Sticky | None) -> StickySpec | None:
    if sticky is None:
        return None
    if sticky.cookie is not None:
        return StickySpec(kind="cookie", name=sticky.cookie)
    assert sticky.header is not None
    return StickySpec(kind="header", name=sticky.header)
