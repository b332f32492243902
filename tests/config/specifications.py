"""Random valid specifications, and the file that says the same."""

from __future__ import annotations

import io
import math
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

from trimtab.config.quantities import show_duration
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

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
COMMANDS = TEXT.map(lambda text: f"run {text}")
VARIABLES = st.dictionaries(st.from_regex(r"X[A-Z_]{0,5}", fullmatch=True), TEXT, max_size=3)
HOSTS = st.sampled_from(["127.0.0.1", "0.0.0.0", "::1"])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT.filter(lambda key: key != "<<"), inner, max_size=3)
    ),
    max_leaves=5,
)


def seconds(least: float, most: float) -> st.SearchStrategy[float]:
    return st.integers(math.ceil(least * 1000), int(most * 1000)).map(lambda milliseconds: milliseconds / 1000)


def percents(least: float, most: float) -> st.SearchStrategy[float]:
    return st.integers(math.ceil(least * 100), int(most * 100)).map(lambda hundredths: hundredths / 100)


MARGINS = st.sampled_from([1.1, 1.5, 2.0, 10.0])
ERRORS = st.builds(ErrorsSpec, margin_ratio=MARGINS, acceptable_pct=percents(0, 99))
LATENCY = st.builds(
    LatencySpec,
    quantiles=st.lists(st.sampled_from([0.25, 0.5, 0.9, 0.99]), min_size=1, unique=True).map(tuple),
    margin_ratio=MARGINS,
    tolerance_pct=percents(0, 100),
    floor_ms=st.integers(0, 1000).map(float),
    measure=st.sampled_from(["total", "first_byte"]),
)
ANALYSES = st.builds(
    AnalysisSpec,
    errors=st.none() | ERRORS,
    latency=st.none() | LATENCY,
    false_rollback_pct=percents(0.01, 50),
    false_promotion_pct=percents(0.01, 50),
)


@st.composite
def strategies(draw: st.DrawFn) -> StrategySpec:
    if draw(st.booleans()):
        return StrategySpec(kind="instant", steps=())
    weights = sorted(draw(st.sets(percents(0.01, 100), min_size=1, max_size=4)))
    steps = tuple(RolloutStep(weight, draw(seconds(0, 600)), draw(st.integers(0, 1000))) for weight in weights)
    return StrategySpec(kind="canary", steps=steps, deadline_s=draw(seconds(2401, 10_000)))


@st.composite
def environments(draw: st.DrawFn) -> tuple[EnvironmentSpec, ...]:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    ports = draw(st.lists(st.integers(1, 65_535), min_size=len(names), max_size=len(names), unique=True))
    return tuple(
        EnvironmentSpec(
            name=name,
            port=port,
            host=draw(HOSTS),
            strategy=draw(strategies()),
            analysis=draw(ANALYSES),
            env=draw(VARIABLES),
            replicas=draw(st.none() | st.integers(1, 100)),
            sticky=draw(st.none() | st.builds(StickySpec, st.sampled_from(["cookie", "header"]), st.just("X-User"))),
        )
        for name, port in zip(names, ports, strict=True)
    )


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[StepSpec, ...]:
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    return tuple(
        StepSpec(
            name=name,
            run=draw(COMMANDS),
            needs=tuple(draw(st.sets(st.sampled_from(names[:index])))) if index else (),
            env=draw(VARIABLES),
            timeout_s=draw(seconds(1, 86_400)),
            retries=draw(st.integers(0, 10)),
        )
        for index, name in enumerate(names)
    )


SERVICES = st.builds(
    ServiceSpec,
    command=COMMANDS,
    port_env=st.sampled_from(["PORT", "HTTP_PORT"]),
    health_path=st.none() | st.from_regex(r"/[a-z/]{0,8}", fullmatch=True),
    health_timeout_s=seconds(1, 3600),
    env=VARIABLES,
    replicas=st.integers(1, 100),
    drain_timeout_s=seconds(0, 3600),
    stop_timeout_s=seconds(0, 3600),
)
RELEASES = st.builds(
    ReleaseSpec,
    parts=st.dictionaries(NAMES, NAMES, min_size=1, max_size=3).map(
        lambda parts: (
            {name: (f"{name}/{path}", f"{name}/more") for name, path in parts.items() if path != "more"}
            or {"code": (".",)}
        )
    ),
    model=st.none() | st.dictionaries(NAMES, DATA, max_size=3),
)
SPECIFICATIONS = st.builds(
    Specification,
    app=NAMES,
    service=SERVICES,
    environments=environments(),
    steps=pipelines(),
    release=RELEASES,
    on_newer_change=st.sampled_from(["latest", "queue", "cancel"]),
)


def as_yaml(specification: Specification) -> str:
    """A file that spells out every setting of the specification."""
    text = io.StringIO()
    YAML(typ="rt", pure=True).dump(as_file(specification), text)
    return text.getvalue()


def as_file(specification: Specification) -> dict[str, Any]:
    service, release = specification.service, specification.release
    return {
        "app": specification.app,
        "service": {
            "command": service.command,
            "port": service.port_env,
            "health": _given(path=service.health_path, timeout=service.health_timeout_s),
            "env": dict(service.env),
            "replicas": service.replicas,
            "drain": show_duration(service.drain_timeout_s),
            "stop_timeout": show_duration(service.stop_timeout_s),
        },
        "pipeline": {step.name: _step(step) for step in specification.steps},
        "release": _given(parts={name: list(paths) for name, paths in release.parts.items()}, model=release.model),
        "environments": {spec.name: _environment(spec) for spec in specification.environments},
        "on_newer_change": specification.on_newer_change,
    }


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _step(step: StepSpec) -> dict[str, Any]:
    return {
        "run": step.run,
        "needs": list(step.needs),
        "env": dict(step.env),
        "timeout": show_duration(step.timeout_s),
        "retry": step.retries,
    }


def _environment(spec: EnvironmentSpec) -> dict[str, Any]:
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return _given(
        listen=f"{host}:{spec.port}",
        strategy=_strategy(spec.strategy),
        analysis=_analysis(spec.analysis),
        env=dict(spec.env),
        replicas=spec.replicas,
        sticky={spec.sticky.kind: spec.sticky.name} if spec.sticky else None,
    )


def _strategy(strategy: StrategySpec) -> Any:
    if strategy.kind == "instant":
        return "instant"
    steps = [
        {"weight": f"{step.weight_pct}%", "hold": show_duration(step.hold_s), "requests": step.requests}
        for step in strategy.steps
    ]
    return {"canary": {"steps": steps, "deadline": strategy.deadline_s}}


def _analysis(analysis: AnalysisSpec) -> dict[str, Any]:
    errors, latency = analysis.errors, analysis.latency
    return {
        "errors": errors is not None and {"margin": errors.margin_ratio, "acceptable": f"{errors.acceptable_pct}%"},
        "latency": latency is not None
        and {
            "quantiles": list(latency.quantiles),
            "margin": latency.margin_ratio,
            "tolerance": latency.tolerance_pct,
            "floor": show_duration(latency.floor_ms / 1000),
            "measure": latency.measure,
        },
        "false_rollback": f"{analysis.false_rollback_pct}%",
        "false_promotion": analysis.false_promotion_pct,
    }
