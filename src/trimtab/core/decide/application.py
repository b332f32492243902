"""The application: gives changes their run, one at a time, by the stated policy for newer changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.core.model.decision import Decision, Emit
from trimtab.core.model.facts import (
    Change,
    ChangeArrived,
    ChangeSuperseded,
    Recorded,
    RunCancelRequested,
    RunFinished,
    RunRequested,
    SpecificationRead,
)
from trimtab.core.model.identity import run_object
from trimtab.core.model.specification import NewerPolicy


@dataclass(frozen=True, slots=True)
class AppState:
    name: str
    next_run: int = 1
    head: str | None = None
    """The newest commit that arrived."""
    running: int | None = None
    waiting: tuple[Change, ...] = ()
    policy: NewerPolicy = "latest"


def decide_application(state: AppState, facts: tuple[Recorded, ...]) -> Decision[AppState]:
    """What follows from changes that arrived and runs that finished."""
    emit: list[Emit] = []
    for recorded in facts:
        match recorded.fact:
            case ChangeArrived(change=change) if change.commit != state.head:
                state, said = _arrived(replace(state, head=change.commit), change)
                emit += said
            case SpecificationRead(specification=specification):
                state = replace(state, policy=specification.on_newer_change)
            case RunFinished(run=run) if run == state.running:
                state = replace(state, running=None)
            case _:
                pass
    if state.running is None and state.waiting:
        state, said = _request(replace(state, waiting=state.waiting[1:]), state.waiting[0])
        emit += said
    return Decision(state, emit=tuple(emit))


def _arrived(state: AppState, change: Change) -> tuple[AppState, list[Emit]]:
    if state.running is None and not state.waiting:
        return _request(state, change)
    if state.policy == "queue":
        return replace(state, waiting=(*state.waiting, change)), []
    emit = [
        Emit(ChangeSuperseded(waiting, change.commit), f"{waiting.commit[:8]} waited, and {change.commit[:8]} is newer")
        for waiting in state.waiting
    ]
    if state.policy == "cancel" and state.running is not None:
        cancel = RunCancelRequested(by=change.actor, superseded=True)
        emit.append(Emit(cancel, f"{change.commit[:8]} is newer", object=run_object(state.name, state.running)))
    return replace(state, waiting=(change,)), emit


def _request(state: AppState, change: Change) -> tuple[AppState, list[Emit]]:
    number = state.next_run
    request = Emit(
        RunRequested(number, change),
        f"{change.actor} changed {change.branch} to {change.commit[:8]}: {change.subject}",
        object=run_object(state.name, number),
    )
    return replace(state, next_run=number + 1, running=number), [request]
