"""Strategies to lists of steps: whatever a strategy is called, a rollout knows only these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from trimtab.config.defaults import CANARY, STRATEGY_STEP
from trimtab.config.environment import Environment
from trimtab.config.segments import Condition
from trimtab.config.steps import Experiment, Gate, Mirror, StepSettings
from trimtab.config.strategies import AB, BlueGreen, Canary, Moving, Rolling, Shadow
from trimtab.core.model.strategy import (
    ExperimentSpec,
    GateSpec,
    Match,
    MirrorSpec,
    RolloutStep,
    Segment,
    StrategyKind,
    StrategySpec,
    VariantSpec,
)

Segments = Mapping[str, Sequence[Condition]]
_INSTANT = StrategySpec(kind="instant", steps=())


def strategy(environment: Environment, replicas: int, *, last: bool) -> StrategySpec:
    """The environment's strategy. `replicas`: how many instances it has; `last`: whether it is the last one."""
    chosen = environment.strategy
    if chosen is None:
        return replace(CANARY, steps=_judged(CANARY.steps, environment)) if last else _INSTANT
    kind, moving = next(
        (
            (kind, moving)
            for kind, moving in (
                ("canary", chosen.canary),
                ("blue-green", chosen.blue_green),
                ("rolling", chosen.rolling),
                ("shadow", chosen.shadow),
                ("ab", chosen.ab),
            )
            if moving is not None
        ),
        ("instant", None),
    )
    if moving is None:
        return _INSTANT
    steps = _judged(tuple(_steps(moving, environment, replicas)), environment)
    return _with_times(kind, moving, steps)  # type: ignore[arg-type]


def _with_times(kind: StrategyKind, moving: Moving, steps: tuple[RolloutStep, ...]) -> StrategySpec:
    if moving.bake is not None:
        weight = 100.0 - moving.bake.holdback
        steps = (*steps, RolloutStep(weight, moving.bake.for_, 0, ramp_s=moving.ramp, name="bake"))
    return StrategySpec(
        kind=kind,
        steps=steps,
        deadline_s=moving.deadline,
        progress_deadline_s=moving.progress_deadline,
        ramp_s=moving.ramp,
        scale_down_delay_s=moving.scale_down_delay,
        rollback_window=moving.rollback_window,
    )


def _judged(steps: tuple[RolloutStep, ...], environment: Environment) -> tuple[RolloutStep, ...]:
    """Without anything to judge no step waits for evidence."""
    analysis = environment.analysis
    if analysis.errors or analysis.latency or analysis.metrics:
        return steps
    return tuple(replace(step, evidence=False) for step in steps)


def _steps(moving: Moving, environment: Environment, replicas: int) -> Iterator[RolloutStep]:
    segments = environment.segments
    match moving:
        case Canary():
            yield from _canary(moving, segments)
        case BlueGreen():
            yield from _blue_green(moving)
        case Rolling():
            yield from _rolling(moving, replicas)
        case Shadow():
            yield RolloutStep(
                0.0, moving.for_, moving.requests, moving.evidence, mirror=mirror_spec(moving.mirror), name="shadow"
            )
        case AB():
            yield RolloutStep(
                moving.weight,
                moving.for_,
                moving.requests,
                moving.evidence,
                segments=participants(moving.match, segments),
                ramp_s=moving.ramp,
                name="ab",
            )


def _canary(canary: Canary, segments: Segments) -> Iterator[RolloutStep]:
    """Each step in full: what an earlier one set stays until a later one changes it."""
    now = replace(STRATEGY_STEP, hold_s=0.0, requests=0)
    made: list[tuple[StepSettings, RolloutStep]] = []
    for said in canary.steps:
        now = _after(now, said, segments)
        made.append((said, _one_step(now, said, canary.ramp)))
    # Unless somebody says where to wait for evidence: at the end, on the last step that shows any.
    silent = all(said.evidence is None for said, _ in made)
    shows = [index for index, (_, step) in enumerate(made) if _compares(step)]
    for index, (said, step) in enumerate(made):
        by_default = silent and bool(shows) and index == shows[-1]
        yield replace(step, evidence=by_default if said.evidence is None else said.evidence)


def _compares(step: RolloutStep) -> bool:
    """Whether both releases get requests: with all of them on one side there is nothing to compare."""
    return step.experiment is not None or 0 < step.weight_pct < 100 or (step.mirror is not None and not step.weight_pct)


def _after(now: RolloutStep, said: StepSettings, segments: Segments) -> RolloutStep:
    """What is in force from a step on."""
    if said.weight is not None:
        now = replace(now, weight_pct=said.weight)
    if said.match is not None:
        now = replace(now, segments=participants(said.match, segments))
    if said.mirror is not None:
        now = replace(now, mirror=mirror_spec(said.mirror) if said.mirror.share > 0 else None)
    return replace(now, candidate_replicas=said.scale) if said.scale is not None else now


def _one_step(now: RolloutStep, said: StepSettings, ramp_s: float) -> RolloutStep:
    moves = said.moves_traffic
    hold_s = STRATEGY_STEP.hold_s if moves else 0.0
    has_traffic = bool(now.weight_pct or now.mirror or said.experiment)
    requests = STRATEGY_STEP.requests if moves and has_traffic else 0
    step = replace(
        now,
        hold_s=hold_s if said.hold is None else said.hold,
        requests=requests if said.requests is None else said.requests,
        gate=gate_spec(said.gate) if said.gate else None,
        approve=said.approve,
        ramp_s=ramp_s if said.ramp is None else said.ramp,
        name=said.name or "",
    )
    if said.experiment is None:
        return step
    return replace(step, weight_pct=0.0, mirror=None, segments=(), ramp_s=0.0, experiment=_experiment(said.experiment))


def _blue_green(settings: BlueGreen) -> Iterator[RolloutStep]:
    if (warm_up := settings.warm_up) is not None:
        copies = mirror_spec(warm_up.mirror)
        yield RolloutStep(0.0, warm_up.for_, warm_up.requests, warm_up.evidence, mirror=copies, name="warm-up")
    if settings.gate is not None or settings.approve or settings.hold > 0 or settings.warm_up is None:
        gate = gate_spec(settings.gate) if settings.gate else None
        yield RolloutStep(0.0, settings.hold, 0, gate=gate, approve=settings.approve, name="preview")


def _rolling(settings: Rolling, replicas: int) -> Iterator[RolloutStep]:
    for number in range(1, replicas):
        yield RolloutStep(
            weight_pct=round(100.0 * number / replicas, 2),
            hold_s=settings.hold,
            requests=settings.requests,
            candidate_replicas=number,
            stable_replicas=replicas - number,
            ramp_s=settings.ramp,
        )


def mirror_spec(mirror: Mirror) -> MirrorSpec:
    return MirrorSpec(mirror.share, mirror.compare, tuple(mirror.ignore), mirror.alike, mirror.acceptable)


def gate_spec(gate: Gate) -> GateSpec:
    return GateSpec(gate.name or "gate", gate.run, gate.url, gate.method, gate.headers, gate.timeout, gate.every)


def _experiment(experiment: Experiment) -> ExperimentSpec:
    variants = tuple(VariantSpec(name, env) for name, env in experiment.variants.items())
    return ExperimentSpec(experiment.weight, variants, experiment.replicas)


def participants(conditions: Sequence[Condition], segments: Segments) -> tuple[Segment, ...]:
    """Those who belong to any of the conditions; empty: everybody. A condition becomes one or several segments."""
    return tuple(dict.fromkeys(segment for condition in conditions for segment in _alternatives(condition, segments)))


def _alternatives(condition: Condition, segments: Segments) -> list[Segment]:
    if condition.segment is not None:
        return list(participants(segments.get(condition.segment, ()), segments))
    if condition.all is not None:
        every = [_alternatives(part, segments) for part in condition.all]
        return [tuple(match for part in choice for match in part) for choice in product(*every)]
    return [(_match(condition),)]


def _match(condition: Condition) -> Match:
    if condition.header is not None:
        source, name = "header", condition.header
    elif condition.cookie is not None:
        source, name = "cookie", condition.cookie
    else:
        source, name = "query", condition.query or ""
    for how, value in (("exact", condition.equals), ("prefix", condition.prefix), ("regex", condition.regex)):
        if value is not None:
            return Match(source, name, how, value)  # type: ignore[arg-type]
    return Match(source, name)  # type: ignore[arg-type]
