"""The view of a rollout, folded from its facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from trimtab.core.model import facts as f
from trimtab.core.model.strategy import RolloutStep
from trimtab.views.model import ArmView, RolloutView

_PAUSABLE = frozenset({"starting", "shifting", "observing"})


def begin(recorded: f.Recorded, asked: f.RolloutRequested, subject: str) -> RolloutView:
    """The view of a rollout that was asked for just now."""
    _, app, environment, number = recorded.object.split("/")
    return RolloutView(
        app,
        environment,
        int(number),
        asked.release,
        asked.stable,
        strategy="",
        status="starting",
        reason=recorded.reason,
        started_at=recorded.at,
        subject=subject,
        steps=_steps(asked, environment),
    )


def _steps(asked: f.RolloutRequested, environment: str) -> tuple[RolloutStep, ...]:
    place = asked.specification.environment(environment)
    return () if place is None or asked.instant or asked.stable is None else place.strategy.steps


def sum_up(facts: Iterable[f.Recorded]) -> f.EvidenceSummed | None:
    """What the ticks among all facts of one rollout, in their order, come to; None when there were none, or when it is
    said already."""
    view: RolloutView | None = None
    ticks = 0
    for recorded in facts:
        if isinstance(recorded.fact, f.EvidenceSummed):
            return None
        if isinstance(recorded.fact, f.RolloutRequested):
            view = begin(recorded, recorded.fact, "")
        elif view is not None:
            view = fold(view, recorded)
            ticks += isinstance(recorded.fact, f.EvidenceCounted)
    if view is None or not ticks:
        return None
    candidate, baseline = view.candidate, view.baseline
    return f.EvidenceSummed(
        candidate_requests=candidate.requests,
        candidate_errors=candidate.errors,
        stable_requests=baseline.requests,
        stable_errors=baseline.errors,
        candidate_p95_ms=candidate.p95_ms,
        stable_p95_ms=baseline.p95_ms,
        step_requests=view.step_requests,
        own=view.own,
        ticks=ticks,
    )


def fold(view: RolloutView, recorded: f.Recorded) -> RolloutView:
    """The view after one more fact."""
    return _in_steps(view, recorded) or _by_people_and_gates(view, recorded) or _at_its_ends(view, recorded) or view


def _at_its_ends(view: RolloutView, recorded: f.Recorded) -> RolloutView | None:
    match recorded.fact:
        case f.RolloutStarted(strategy=strategy, weights_pct=weights):
            return replace(view, strategy=strategy, weights_pct=weights, reason=recorded.reason)
        case f.InstancesReady():
            return replace(view, reason=recorded.reason)
        case f.VerdictReached(verdict=verdict):
            status = {"PASS": "promoting", "FAIL": "returning"}.get(verdict, view.status)
            return replace(view, verdict=verdict, status=status, reason=recorded.reason)
        case f.RolloutEnded(outcome=outcome, duration_s=duration_s):
            return replace(
                view,
                status=outcome,
                reason=recorded.reason,
                duration_s=duration_s,
                weight_pct=100.0 if outcome == "promoted" else 0.0,
                held="",
                awaiting_approval=False,
            )
        case _:
            return None


def _in_steps(view: RolloutView, recorded: f.Recorded) -> RolloutView | None:
    match recorded.fact:
        case f.StepEntered(index=index, weight_pct=weight):
            return replace(
                view,
                step=index,
                weight_pct=weight,
                verified_at=None,
                step_requests=0,
                status="paused" if view.status == "paused" else "shifting",
                promote_evidence_pct={},
                gate="",
                awaiting_approval=False,
                reason=recorded.reason,
            )
        case f.WeightVerified():
            return replace(
                view,
                status=_moving(view, "observing"),
                verified_at=recorded.at,
                step_requests=0,
                reason=recorded.reason,
            )
        case f.WeightLost():
            return replace(view, status=_moving(view, "shifting"), verified_at=None, reason=recorded.reason)
        case f.EvidenceCounted() as tick:
            return _count(view, tick, recorded.reason)
        case f.EvidenceSummed() as total:
            return _summed(view, total)
        case f.ExperimentJudged(verdicts=verdicts, worse=worse):
            return replace(view, experiment=verdicts, experiment_worse=worse, reason=recorded.reason)
        case _:
            return None


def _by_people_and_gates(view: RolloutView, recorded: f.Recorded) -> RolloutView | None:
    match recorded.fact:
        case f.PromoteRequested():
            return replace(view, status="promoting", reason=recorded.reason)
        case f.AbortRequested():
            return replace(view, status="returning", reason=recorded.reason)
        case f.PauseRequested():
            return replace(view, status="paused" if view.status in _PAUSABLE else view.status)
        case f.ResumeRequested():
            return replace(view, status="observing" if view.verified_at else "shifting")
        case f.ApprovalAwaited():
            return replace(view, awaiting_approval=True)
        case f.ApproveRequested():
            return replace(view, awaiting_approval=False)
        case f.GateStarted(gate=gate, process=process):
            return replace(view, gate=gate, gate_process=process)
        case f.GateEnded():
            return replace(view, gate="", reason=recorded.reason)
        case f.RolloutHeld():
            return replace(view, held=recorded.reason)
        case f.RolloutReleased():
            return replace(view, held="")
        case _:
            return None


def _moving(view: RolloutView, status: str) -> str:
    return "paused" if view.status == "paused" else status


def _count(view: RolloutView, tick: f.EvidenceCounted, reason: str) -> RolloutView:
    return replace(
        view,
        reason=reason,
        step_requests=view.step_requests + tick.candidate_requests,
        candidate=ArmView(
            view.candidate.requests + tick.candidate_requests,
            view.candidate.errors + tick.candidate_errors,
            tick.candidate_p95_ms or view.candidate.p95_ms,
        ),
        baseline=ArmView(
            view.baseline.requests + tick.stable_requests,
            view.baseline.errors + tick.stable_errors,
            tick.stable_p95_ms or view.baseline.p95_ms,
        ),
        rollback_evidence_pct=_share(tick.rollback_log_e, tick.rollback_at),
        promote_evidence_pct={name: _share(log_e, tick.promote_at) for name, log_e in tick.promote_log_e.items()},
        own={**view.own, **tick.own},
    )


def _summed(view: RolloutView, total: f.EvidenceSummed) -> RolloutView:
    return replace(
        view,
        step_requests=total.step_requests,
        candidate=ArmView(total.candidate_requests, total.candidate_errors, total.candidate_p95_ms),
        baseline=ArmView(total.stable_requests, total.stable_errors, total.stable_p95_ms),
        own=total.own,
    )


def _share(log_e: float, threshold: float) -> float:
    return min(100.0, max(0.0, 100.0 * log_e / threshold))
