"""What a step puts in force: instances, the route, the share at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trimtab.core.decide.rollout.state import RolloutState
from trimtab.core.model.actions import ApplyRoute, RunGate, ScaleDown, StartInstances
from trimtab.core.model.identity import BASELINE, ArmId, arm
from trimtab.core.model.strategy import GateSpec, RolloutStep
from trimtab.core.model.traffic import NO_SHARE, Share


def needed(state: RolloutState) -> Mapping[ArmId, int]:
    """How many instances of each arm the current step needs; the stable release's own are there."""
    step = state.current
    if step is None:
        return {state.release: state.replicas}
    wanted = {state.release: step.candidate_replicas or state.replicas}
    return wanted | {other: step.experiment.replicas for other in others(state, step) if step.experiment}


def others(state: RolloutState, step: RolloutStep | None) -> tuple[ArmId, ...]:
    """The further arms of the step's experiment: its variants and the baseline."""
    if step is None or step.experiment is None or state.stable is None:
        return ()
    variants = (arm(state.release, variant.name) for variant in step.experiment.variants)
    return (*variants, arm(state.stable, BASELINE))


def start(state: RolloutState, wanted: ArmId, replicas: int) -> StartInstances:
    """Start the arm's instances. The baseline runs by the stable release's own specification (its manifest's)."""
    assert state.specification is not None
    release, _, guise = wanted.partition("@")
    step = state.current
    variants = step.experiment.variants if step is not None and step.experiment is not None else ()
    env = next((variant.env for variant in variants if variant.name == guise and release == state.release), {})
    place = state.environment
    return StartInstances(
        *(place.app, place.name, release, replicas, state.specification, guise, env),
        since=state.started_at,
        is_live=release == state.stable,
    )


def has_new_shape(state: RolloutState) -> bool:
    """Whether the gateway needs another route for the current step than for the one before."""
    return not state.routed or _shape(state, state.current) != _shape(state, state.before)


def has_new_segments(state: RolloutState) -> bool:
    """Whether others take part in the split than before: then the old share must not hold for them."""
    now, before = state.current, state.before
    return now is not None and before is not None and now.segments != before.segments


def _shape(state: RolloutState, step: RolloutStep | None) -> object:
    if step is None:
        return None
    return (step.segments, step.mirror, others(state, step), step.stable_replicas, step.candidate_replicas)


def route(state: RolloutState) -> ApplyRoute:
    """The current step's route: all to stable, and what the lease grants to the others."""
    step, place = state.current, state.environment
    assert state.specification is not None
    assert state.stable is not None
    assert step is not None
    return ApplyRoute(
        place.app,
        place.name,
        state.stable,
        state.release,
        state.lease_id,
        state.specification,
        segments=step.segments,
        mirror=step.mirror,
        others=others(state, step),
        stable_replicas=step.stable_replicas,
        candidate_replicas=step.candidate_replicas,
    )


def all_to(state: RolloutState, release: str) -> ApplyRoute:
    """The last route: everything to one release."""
    assert state.specification is not None
    return ApplyRoute(state.environment.app, state.environment.name, release, None, None, state.specification)


def scale_downs(state: RolloutState) -> list[ScaleDown]:
    """Instances that the step takes out of the traffic, and arms of an experiment that is over."""
    step, before = state.current, state.before
    assert state.specification is not None
    place, drain_s = state.environment, state.specification.service.drain_timeout_s
    kept = dict.fromkeys(set(others(state, before)) - set(others(state, step)), 0)
    if step is not None and step.stable_replicas is not None and state.stable is not None:
        kept[state.stable] = step.stable_replicas
    return [ScaleDown(place.app, place.name, name, keep, drain_s) for name, keep in sorted(kept.items())]


def gate(state: RolloutState, spec: GateSpec) -> RunGate:
    """Ask the gate, and tell it what it is about."""
    place = state.environment
    process = f"gate/{place}/{state.number}/{state.step + 1}"
    about = {
        "TRIMTAB_APP": place.app,
        "TRIMTAB_ENVIRONMENT": place.name,
        "TRIMTAB_ROLLOUT": str(state.number),
        "TRIMTAB_STEP": str(state.step + 1),
        "TRIMTAB_CANDIDATE": state.release,
        "TRIMTAB_STABLE": state.stable or "",
        "TRIMTAB_URL": f"http://{state.place.host}:{state.place.port}",
    }
    return RunGate(place.app, place.name, spec, process, about, state.started_at)


def share_of(state: RolloutState, step: RolloutStep | None) -> Share:
    """What the step grants once its ramp is over."""
    if step is None:
        return NO_SHARE
    mirror_pct = step.mirror.share_pct if step.mirror else 0.0
    if step.experiment is None:
        return Share(step.weight_pct, {}, mirror_pct)
    each = step.experiment.weight_pct
    return Share(each, dict.fromkeys(others(state, step), each), mirror_pct)


def share_now(state: RolloutState, now: float) -> Share | None:
    """What the gateway should grant at this moment; None: nothing to renew or to take away."""
    if not state.steps:
        return None
    if state.phase in ("returning", "ended"):
        return NO_SHARE
    if state.phase in ("shifting", "observing"):
        step, share = state.current, share_of(state, state.current)
        ramp_s = 0.0 if step is None or step.experiment is not None else step.ramp_s
        return replace(share, candidate_pct=_ramped(state, share.candidate_pct, ramp_s, now))
    if state.phase == "ramping":
        return Share(_ramped(state, 100.0, state.place.strategy.ramp_s, now))
    return state.share if state.routed else None


def ramps_out(state: RolloutState) -> bool:
    """Whether the last move, to all traffic, is made little by little: only where everybody takes part already."""
    step = state.current
    everybody = step is not None and not step.segments and step.experiment is None
    return state.place.strategy.ramp_s > 0 and everybody and state.routed


def _ramped(state: RolloutState, to_pct: float, ramp_s: float, now: float) -> float:
    """Evenly up from the share before, in steps of the gateway's resolution."""
    from_pct = state.share.candidate_pct
    if ramp_s <= 0 or from_pct >= to_pct:
        return to_pct
    gone = min(1.0, max(0.0, (now - state.entered_at) / ramp_s))
    return round(from_pct + (to_pct - from_pct) * gone, 2)
