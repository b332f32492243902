"""What a rollout still waits for, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.core.decide.rollout.state import Peer, RolloutReading, RolloutState
from trimtab.core.model.strategy import RolloutStep
from trimtab.core.say import count, duration
from trimtab.core.stats.verdict import Judgement

_GONE_BACK = ("rolled_back", "aborted", "failed", "returning")


def for_step(state: RolloutState, step: RolloutStep, judgement: Judgement, now: float) -> str:
    """Why the step cannot end yet but for the group; empty when it can."""
    return next(_open_conditions(state, step, judgement, now), "")


def _open_conditions(state: RolloutState, step: RolloutStep, judgement: Judgement, now: float) -> Iterator[str]:
    held_s, seen = now - state.verified_at, state.evidence.step_requests
    if held_s < step.hold_s:
        yield f"the step lasts {duration(step.hold_s)}"
    if seen == 0 < step.requests:
        yield judgement.reason if state.evidence.has_metrics else "no request reached the candidate yet"
    if seen < step.requests:
        yield f"{count(step.requests - seen, 'candidate request')} to go"
    if step.gate is not None and not (state.gate and state.gate.passed):
        yield f"gate {step.gate.name} has not answered yet"
    if step.evidence and judgement.verdict != "PASS":
        yield judgement.reason
    if step.approve and not state.approved:
        yield "a person has to approve (`trimtab approve`)"


def fulfilled(state: RolloutState, step: RolloutStep, now: float) -> str:
    """What the step has shown, for the record."""
    seen = state.evidence.step_requests
    said = [f"{duration(now - state.verified_at)} at {step.weight_pct:g} %"]
    if seen or step.requests:
        said = [f"{count(seen, 'candidate request')} in {said[0]} gave no alarm"]
    if step.mirror is not None:
        said.append(f"{step.mirror.share_pct:g} % mirrored")
    if step.gate is not None:
        said.append(f"gate {step.gate.name} passed")
    if step.approve:
        said.append("approved")
    return ", ".join(said)


def for_group(state: RolloutState, reading: RolloutReading, now: float) -> str:
    """Which member of the group is not ready for the next move; empty when all are, or there is no group."""
    group = state.place.group
    if group is None or not state.steps:
        return ""
    gathering = state.ready_for <= 1 and now - state.started_at < group.gather_s
    for peer in reading.peers:
        if peer.under_way and peer.ready_for < state.ready_for:
            return f"{peer.member} of the group {group.name} is not as far yet"
        if not peer.under_way and gathering and peer.outcome_at < state.started_at:
            return f"{peer.member} of the group {group.name} has no rollout yet"
    return ""


def group_went_back(state: RolloutState, reading: RolloutReading) -> Peer | None:
    """A member of the group that gave up since this rollout began."""
    if state.place.group is None or not state.steps:
        return None
    since = state.started_at
    return next((p for p in reading.peers if p.outcome in _GONE_BACK and p.outcome_at >= since), None)
