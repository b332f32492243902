"""Random valid specifications, and the file that says the same."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

from trimtab.config.metrics import MetricKind
from trimtab.config.quantities import show_duration, show_size
from trimtab.core.model.contents import with_named_files
from trimtab.core.model.pipeline import (
    ConcurrencySpec,
    ConditionSpec,
    LimitsSpec,
    SandboxSpec,
    ServiceBesideSpec,
    StepSpec,
)
from trimtab.core.model.report import ReportSpec
from trimtab.core.model.specification import (
    AnalysisSpec,
    BudgetSpec,
    EnvironmentSpec,
    ErrorsSpec,
    FreezeSpec,
    GroupSpec,
    LatencySpec,
    MetricSpec,
    PreviewsSpec,
    PromptSpec,
    ReleaseSpec,
    RequireSpec,
    ScheduleSpec,
    ServiceSpec,
    SourceSpec,
    Specification,
    StickySpec,
    WindowSpec,
)
from trimtab.core.model.strategy import GateSpec, Match, MirrorSpec, RolloutStep, StrategySpec

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
QUERIES = st.sampled_from(["q", 'sum(x{r="$release"})', "select 1 where at >= $since"])
SOURCES = st.builds(
    SourceSpec,
    kind=st.sampled_from(["prometheus", "json", "datadog", "cloudwatch"]),
    url=st.just("https://example.com/x"),
    headers=st.sampled_from([{}, {"Authorization": "Bearer ${TOKEN}"}]),
    every_s=seconds(1, 5),
    timeout_s=seconds(1, 5),
    fresh_s=seconds(10, 600),
)


@st.composite
def metrics(draw: st.DrawFn) -> MetricSpec:
    kinds: tuple[MetricKind, ...] = ("events", "score", "rate")
    kind = draw(st.sampled_from(kinds))
    names = {"events": ("bad", "all"), "score": ("scores",), "rate": ("bad",)}[kind]
    source = replace(draw(SOURCES), queries={name: draw(QUERIES) for name in names})
    if kind == "score":
        return MetricSpec(draw(NAMES), kind, source, margin=draw(st.sampled_from([0.01, 0.1])))
    acceptable = draw(st.sampled_from([0.0, 2.0])) if kind == "events" else 0.0
    return MetricSpec(draw(NAMES), kind, source, draw(MARGINS), acceptable)


ANALYSES = st.builds(
    AnalysisSpec,
    errors=st.none() | ERRORS,
    latency=st.none() | LATENCY,
    metrics=st.lists(
        metrics().filter(lambda metric: metric.name not in ("errors", "answers", "latency")),
        max_size=2,
        unique_by=lambda metric: metric.name,
    ).map(tuple),
    unit=st.sampled_from(["request", "user"]),
    split_check=st.booleans(),
    false_rollback_pct=percents(0.01, 50),
    false_promotion_pct=percents(0.01, 50),
)


MATCHES = st.builds(
    Match, st.sampled_from(["header", "cookie", "query"]), st.just("x-beta"), st.just("present")
) | st.builds(
    Match,
    st.sampled_from(["header", "cookie", "query"]),
    st.just("x-beta"),
    st.sampled_from(["exact", "prefix", "regex"]),
    st.sampled_from(["1", "red|blue"]),
)
SEGMENTS = st.lists(st.lists(MATCHES, min_size=1, max_size=2).map(tuple), max_size=2, unique=True).map(tuple)
MIRRORS = st.builds(
    MirrorSpec,
    percents(1, 100),
    st.sampled_from(["none", "status", "exact", "json", "similar"]),
    st.sampled_from([(), ("usage.total_tokens", "choices.*.id")]),
    percents(1, 100),
    percents(1, 99),
)
GATES = st.builds(
    GateSpec, st.just("smoke"), run=COMMANDS, timeout_s=seconds(1, 600), every_s=seconds(1, 60)
) | st.builds(
    GateSpec,
    st.just("smoke"),
    url=st.just("https://example.com/gate"),
    method=st.sampled_from(["GET", "POST"]),
    headers=st.sampled_from([{}, {"X-Token": "${TOKEN}"}]),
)


@st.composite
def steps(draw: st.DrawFn, weight: float) -> RolloutStep:
    return RolloutStep(
        weight,
        draw(seconds(0, 600)),
        draw(st.integers(0, 1000)),
        evidence=draw(st.booleans()) if weight < 100 else False,  # there would be nothing to compare with
        gate=draw(st.none() | GATES),
        approve=draw(st.booleans()),
        segments=draw(SEGMENTS),
        mirror=draw(st.none() | MIRRORS),
        candidate_replicas=draw(st.integers(1, 9)),
        ramp_s=draw(seconds(0, 60)),
        name=draw(st.just("") | NAMES),
    )


@st.composite
def strategies(draw: st.DrawFn, *, judged: bool) -> StrategySpec:
    if draw(st.booleans()):
        return StrategySpec(kind="instant", steps=())
    weights = sorted(draw(st.sets(percents(0.01, 100), min_size=1, max_size=4)))
    drawn = [draw(steps(weight)) for weight in weights]
    return StrategySpec(
        kind="canary",
        steps=tuple(step if judged else replace(step, evidence=False) for step in drawn),
        deadline_s=draw(seconds(2401, 10_000)),
        progress_deadline_s=draw(seconds(1, 600)),
        ramp_s=draw(seconds(0, 60)),
        scale_down_delay_s=draw(seconds(0, 600)),
        rollback_window=draw(st.integers(0, 50)),
    )


WINDOWS = st.builds(
    WindowSpec, st.just("FREQ=WEEKLY;BYDAY=MO,TU"), st.just("2026-01-05T09:00:00"), seconds(60, 86_400), st.just("UTC")
)
FREEZES = st.integers(0, 10**9).map(lambda begin: FreezeSpec(float(begin), float(begin + 3600), "sale"))
GROUPS = st.builds(
    GroupSpec, st.just("checkout"), st.just(("cart/production", "pay/production")), gather_s=seconds(0, 600)
)


REQUIRES = st.just(RequireSpec(provenance=False)) | st.builds(
    RequireSpec,
    max_age_s=st.none() | seconds(60, 31_536_000),
    builders=st.lists(st.sampled_from(["https://a.example", "http://b:7070"]), max_size=2, unique=True).map(tuple),
)
"""Gates name steps of the same file; they are tested by hand."""


@st.composite
def environments(draw: st.DrawFn) -> tuple[EnvironmentSpec, ...]:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    ports = draw(st.lists(st.integers(1, 65_535), min_size=len(names), max_size=len(names), unique=True))
    analyses = [draw(ANALYSES) for _ in names]
    return tuple(
        EnvironmentSpec(
            name=name,
            port=port,
            host=draw(HOSTS),
            strategy=draw(strategies(judged=bool(analysis.errors or analysis.latency or analysis.metrics))),
            analysis=analysis,
            windows=draw(st.lists(WINDOWS, max_size=1).map(tuple)),
            freezes=draw(st.lists(FREEZES, max_size=2).map(tuple)),
            budget=draw(st.none() | st.builds(BudgetSpec, percents(1, 99), st.integers(1, 90))),
            group=draw(st.none() | GROUPS),
            env=draw(VARIABLES),
            replicas=draw(st.none() | st.integers(1, 100)),
            require=draw(REQUIRES),
            sticky=draw(st.none() | st.builds(StickySpec, st.sampled_from(["cookie", "header"]), st.just("X-User"))),
        )
        for name, port, analysis in zip(names, ports, analyses, strict=True)
    )


PATTERNS = st.lists(st.sampled_from(["src", "**/*.py", "!docs", "a b/?.txt"]), max_size=3, unique=True).map(tuple)
SIZES = st.integers(1, 4096).map(lambda number: number * 1024**2)
LIMITS = st.builds(
    LimitsSpec,
    memory_bytes=SIZES,
    processes=st.integers(8, 9999),
    cpus=st.none() | st.sampled_from([0.5, 2.0]),
    disk_bytes=SIZES,
    output_bytes=SIZES,
)
FILES = st.lists(NAMES, min_size=1, max_size=2, unique=True).map(tuple)


@st.composite
def reports(draw: st.DrawFn) -> tuple[ReportSpec, ...]:
    minimum, drop = draw(st.none() | percents(0, 100)), draw(st.none() | percents(0, 100))
    coverage = ReportSpec("coverage", draw(FILES), minimum is not None or drop is not None, minimum, drop)
    others = [ReportSpec(kind, draw(FILES), draw(st.booleans())) for kind in ("junit", "sarif", "sbom", "load")]
    return tuple(spec for spec in (others[0], coverage, *others[1:]) if draw(st.booleans()))


REPORTS = reports()
STEP_SETTINGS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "retries": st.integers(0, 10),
        "retry_codes": st.lists(st.integers(1, 255), max_size=2).map(tuple),
        "retry_delay_s": seconds(0, 3600),
        "when": st.builds(
            ConditionSpec,
            changed=PATTERNS,
            branches=PATTERNS,
            pull_request=st.none() | st.booleans(),
            schedule=st.none() | st.booleans(),
        ),
        "inputs": PATTERNS,
        "outputs": st.lists(NAMES, max_size=2, unique=True).map(tuple),
        "tools": st.lists(NAMES, max_size=2, unique=True).map(tuple),
        "cached": st.booleans(),
        "secrets": st.lists(st.sampled_from(["TOKEN", "KEY"]), max_size=2, unique=True).map(tuple),
        "services": st.lists(
            st.builds(
                ServiceBesideSpec,
                st.just("db"),
                COMMANDS,
                st.none() | st.integers(1, 65535),
                ready_timeout_s=seconds(1, 3600),
                env=VARIABLES,
            ),
            max_size=1,
        ).map(tuple),
        "concurrency": st.none() | st.builds(ConcurrencySpec, NAMES, st.sampled_from(["queue", "latest", "cancel"])),
        "sandbox": st.builds(
            SandboxSpec, st.booleans(), st.booleans(), st.lists(st.just("/opt/models"), max_size=1).map(tuple)
        ),
        "limits": LIMITS,
        "reports": REPORTS,
    }
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
            **draw(STEP_SETTINGS),
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
FILE_NAMES = NAMES.map(lambda name: f"files/{name}.json")
VARIABLE_NAMES = st.lists(st.sampled_from(["question", "passages", "n_1"]), max_size=3, unique=True).map(tuple)
DATA_BY_NAME = st.dictionaries(NAMES, DATA, max_size=3)


@st.composite
def models(draw: st.DrawFn, fallback: bool = True) -> dict[str, Any]:
    model = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "provider": NAMES,
                "name": NAMES,
                "revision": NAMES,
                "url": st.just("https://example.com/v1"),
                "file": FILE_NAMES,
                "parameters": DATA_BY_NAME.filter(bool),
            },
        ).filter(lambda model: "name" in model or "file" in model)
    )
    others = draw(st.lists(models(fallback=False), max_size=2)) if fallback else []
    return {**model, **({"fallback": others} if others else {})}


@st.composite
def releases(draw: st.DrawFn) -> ReleaseSpec:
    given = draw(st.dictionaries(NAMES, NAMES, min_size=1, max_size=3))
    parts = {name: (f"{name}/{path}", f"{name}/more") for name, path in given.items() if path != "more"}
    release = ReleaseSpec(
        parts=parts or {"code": (".",)},
        model=draw(st.none() | models()),
        prompts=draw(
            st.dictionaries(
                NAMES, st.builds(PromptSpec, FILE_NAMES, st.none() | VARIABLE_NAMES, DATA_BY_NAME), max_size=2
            )
        ),
        config=draw(st.none() | DATA_BY_NAME.filter(bool)),
        flags=draw(st.just("") | FILE_NAMES),
    )
    if release.config is None:
        release = replace(release, config_file=draw(st.just("") | FILE_NAMES))
    return replace(release, parts=with_named_files(release))


RELEASES = releases()
PREVIEWS = st.builds(
    PreviewsSpec,
    first_port=st.integers(60_000, 60_100),
    last_port=st.integers(60_100, 60_900),
    host=HOSTS,
    url=st.sampled_from(["", "https://{name}.example.com", "http://example.com:{port}/x"]),
    keep_s=seconds(60, 31_536_000),
    env=VARIABLES,
    replicas=st.integers(1, 100),
    forks=st.booleans(),
)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[ScheduleSpec, ...]:
    """By rules: what cron's fields become is tested with the calendar."""
    return tuple(
        ScheduleSpec(
            name=name,
            rules=(draw(st.sampled_from(["FREQ=DAILY;BYHOUR=3", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=HOURLY"])),),
            timezone=draw(st.sampled_from(["UTC", "Europe/Berlin"])),
            start=draw(st.sampled_from(["2024-01-01T00:00:00", "2026-03-29T02:30:00"])),
            deploy=draw(st.booleans()),
        )
        for name in draw(st.lists(NAMES, max_size=3, unique=True))
    )


SPECIFICATIONS = st.builds(
    Specification,
    app=NAMES,
    service=SERVICES,
    environments=environments(),
    steps=pipelines(),
    release=RELEASES,
    on_newer_change=st.sampled_from(["latest", "queue", "cancel"]),
    previews=st.none() | PREVIEWS,
    schedules=schedules(),
).filter(lambda made: not made.previews or not any(60_000 <= place.port <= 60_900 for place in made.environments))


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
        "release": _given(
            parts={name: list(paths) for name, paths in release.parts.items()},
            model=release.model,
            prompts={name: _prompt(prompt) for name, prompt in release.prompts.items()},
            config=release.config if release.config is not None else release.config_file or None,
            flags=release.flags or None,
        ),
        "environments": {spec.name: _environment(spec) for spec in specification.environments},
        "on_newer_change": specification.on_newer_change,
        "schedules": {schedule.name: _schedule(schedule) for schedule in specification.schedules},
        "previews": _previews(specification.previews) if specification.previews else False,
    }


def _prompt(prompt: PromptSpec) -> Any:
    if prompt.variables is None and not prompt.example:
        return prompt.file
    variables = None if prompt.variables is None else list(prompt.variables)
    return _given(file=prompt.file, variables=variables, example=prompt.example)


def _schedule(schedule: ScheduleSpec) -> dict[str, Any]:
    return {
        "rule": schedule.rules[0],
        "start": schedule.start,
        "timezone": schedule.timezone,
        "deploy": schedule.deploy,
    }


def _previews(previews: PreviewsSpec) -> dict[str, Any]:
    return _given(
        ports=f"{previews.first_port}-{previews.last_port}",
        host=previews.host,
        url=previews.url or None,
        keep=show_duration(previews.keep_s),
        env=dict(previews.env),
        replicas=previews.replicas,
        forks=previews.forks,
    )


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _step(step: StepSpec) -> dict[str, Any]:
    return {
        "run": step.run,
        "needs": list(step.needs),
        "env": dict(step.env),
        "timeout": show_duration(step.timeout_s),
        "retry": {
            "times": step.retries,
            "delay": show_duration(step.retry_delay_s),
            "exit_codes": list(step.retry_codes),
        },
        "if": _given(
            changed=list(step.when.changed) or None,
            branch=list(step.when.branches) or None,
            pull_request=step.when.pull_request,
            schedule=step.when.schedule,
        ),
        "outputs": list(step.outputs),
        "tools": list(step.tools),
        "cache": step.cached,
        "secrets": list(step.secrets),
        "reports": {spec.kind: _report(spec) for spec in step.reports},
        "services": {service.name: _service_beside(service) for service in step.services},
        "sandbox": {"isolated": step.sandbox.on, "network": step.sandbox.network, "read": list(step.sandbox.read)},
        "limits": _given(
            memory=show_size(step.limits.memory_bytes or 0),
            processes=step.limits.processes,
            cpus=step.limits.cpus,
            disk=show_size(step.limits.disk_bytes or 0),
            output=show_size(step.limits.output_bytes or 0),
        ),
        **_given(
            inputs=list(step.inputs) or None,
            concurrency=_given(group=step.concurrency.group, pending=step.concurrency.pending)
            if step.concurrency
            else None,
        ),
    }


def _report(spec: ReportSpec) -> dict[str, Any]:
    if spec.kind == "coverage":
        return _given(file=list(spec.files), min=spec.min_pct, max_drop=spec.max_drop_pct)
    return {"file": list(spec.files), "required": spec.required}


def _service_beside(service: ServiceBesideSpec) -> dict[str, Any]:
    timeout = show_duration(service.ready_timeout_s)
    return _given(run=service.run, port=service.port, timeout=timeout, env=dict(service.env))


def _environment(spec: EnvironmentSpec) -> dict[str, Any]:
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return _given(
        listen=f"{host}:{spec.port}",
        strategy=_strategy(spec.strategy),
        analysis=_analysis(spec.analysis),
        env=dict(spec.env),
        replicas=spec.replicas,
        sticky={spec.sticky.kind: spec.sticky.name} if spec.sticky else None,
        windows=[
            {"rule": window.rule, "start": window.start, "for": window.for_s, "zone": window.zone}
            for window in spec.windows
        ],
        freezes=[
            {"from": _moment(freeze.begin), "to": _moment(freeze.end), "reason": freeze.reason}
            for freeze in spec.freezes
        ],
        budget={"objective": f"{spec.budget.objective_pct}%", "days": spec.budget.days} if spec.budget else None,
        group=_group(spec.group) if spec.group else None,
        require=_require(spec.require),
    )


def _require(spec: RequireSpec) -> Any:
    if not spec.provenance:
        return "none"
    return _given(
        max_age=show_duration(spec.max_age_s) if spec.max_age_s is not None else None, builders=list(spec.builders)
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _group(group: GroupSpec) -> dict[str, Any]:
    return {"name": group.name, "members": list(group.members), "gather": show_duration(group.gather_s)}


def _strategy(strategy: StrategySpec) -> Any:
    if strategy.kind == "instant":
        return "instant"
    return {
        "canary": {
            "steps": [_rollout_step(step) for step in strategy.steps],
            "deadline": strategy.deadline_s,
            "progress_deadline": strategy.progress_deadline_s,
            "ramp": strategy.ramp_s,
            "scale_down_delay": strategy.scale_down_delay_s,
            "rollback_window": strategy.rollback_window,
        }
    }


def _rollout_step(step: RolloutStep) -> dict[str, Any]:
    return _given(
        weight=f"{step.weight_pct}%",
        hold=show_duration(step.hold_s),
        requests=step.requests,
        evidence=step.evidence,
        gate=_gate(step.gate) if step.gate else None,
        approve=step.approve,
        match=[{"all": [_match(match) for match in segment]} for segment in step.segments] or "everybody",
        mirror=_mirror(step.mirror) if step.mirror else False,
        scale=step.candidate_replicas,
        ramp=show_duration(step.ramp_s),
        name=step.name or None,
    )


def _gate(gate: GateSpec) -> dict[str, Any]:
    return _given(
        name=gate.name,
        run=gate.run,
        url=gate.url,
        method=gate.method,
        headers=dict(gate.headers),
        timeout=show_duration(gate.timeout_s),
        every=show_duration(gate.every_s),
    )


def _match(match: Match) -> dict[str, Any]:
    how: dict[str, Any] = (
        {} if match.how == "present" else {"equals" if match.how == "exact" else match.how: match.value}
    )
    return {match.source: match.name, **how}


def _mirror(mirror: MirrorSpec) -> dict[str, Any]:
    return {
        "share": f"{mirror.share_pct}%",
        "compare": mirror.compare,
        "ignore": list(mirror.ignore),
        "alike": f"{mirror.alike_pct}%",
        "acceptable": f"{mirror.acceptable_pct}%",
    }


def _metric(metric: MetricSpec) -> dict[str, Any]:
    source, queries = metric.source, metric.source.queries
    said: dict[str, Any] = {
        "events": dict(queries) if metric.kind == "events" else None,
        "score": queries.get("scores"),
        "rate": queries["bad"] if metric.kind == "rate" else None,
    }
    return _given(
        **said,
        **{source.kind: source.url},
        headers=dict(source.headers),
        margin=metric.margin if metric.kind == "score" else metric.margin_ratio,
        acceptable=f"{metric.acceptable_pct}%" if metric.acceptable_pct else None,
        every=show_duration(source.every_s),
        timeout=show_duration(source.timeout_s),
        fresh=show_duration(source.fresh_s),
    )


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
        "metrics": {metric.name: _metric(metric) for metric in analysis.metrics},
        "count": f"{analysis.unit}s",
        "split_check": analysis.split_check,
        "false_rollback": f"{analysis.false_rollback_pct}%",
        "false_promotion": analysis.false_promotion_pct,
    }
