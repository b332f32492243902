"""The application: notices changes and gives each its run, one at a time, by the stated policy for newer changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trimtab.core.errors import Problem
from trimtab.core.model.decision import Decision, Emit
from trimtab.core.model.facts import (
    AppRegistered,
    Change,
    ChangeArrived,
    ChangeSuperseded,
    ProblemCleared,
    ProblemFound,
    Recorded,
    RunCancelRequested,
    RunFinished,
    RunRequested,
    SpecificationRead,
)
from trimtab.core.model.identity import run_object
from trimtab.core.model.specification import NewerPolicy

IDLE_S = 10.0
"""How often Trimtab's own repository is looked at: a push whose announcement was lost is found then."""


@dataclass(frozen=True, slots=True)
class AppState:
    name: str
    source: AppRegistered = field(default_factory=AppRegistered)
    next_run: int = 1
    head: str | None = None
    """The newest commit that arrived."""
    running: int | None = None
    waiting: tuple[Change, ...] = ()
    policy: NewerPolicy = "latest"
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class ApplicationReading:
    """The deployed branch now, or why it cannot be read."""

    head: Change | None = None
    problem: Problem | None = None


def decide_application(
    state: AppState, facts: tuple[Recorded, ...], reading: ApplicationReading, now: float
) -> Decision[AppState]:
    """What follows from changes that arrived and runs that finished."""
    emit: list[Emit] = []
    for recorded in facts:
        match recorded.fact:
            case AppRegistered() as source:
                state = replace(state, source=source)
            case ChangeArrived(change=change) if change.commit != state.head:
                state, said = _arrived(state, change)
                emit += said
            case SpecificationRead(specification=specification):
                state = replace(state, policy=specification.on_newer_change)
            case RunFinished(run=run) if run == state.running:
                state = replace(state, running=None)
            case _:
                pass
    if reading.head is not None and reading.head.commit != state.head and not emit:
        found = ChangeArrived(reading.head, "poll" if polled(state) else "push")
        emit.append(Emit(found, f"{reading.head.branch} is at {reading.head.commit[:8]} now"))
        state, said = _arrived(state, reading.head)
        emit += said
    if state.running is None and state.waiting:
        state, said = _request(replace(state, waiting=state.waiting[1:]), state.waiting[0])
        emit += said
    state, said = _note(state, reading.problem)
    emit += said
    look_at = now + (state.source.poll_interval_s if polled(state) else IDLE_S)
    return Decision(state, emit=tuple(emit), look_at=look_at, idle=not polled(state) and state.problem is None)


def polled(state: AppState) -> bool:
    return state.source.poll_url is not None


def _arrived(state: AppState, change: Change) -> tuple[AppState, list[Emit]]:
    state = replace(state, head=change.commit)
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


def _note(state: AppState, problem: Problem | None) -> tuple[AppState, list[Emit]]:
    if problem == state.problem:
        return state, []
    emit = []
    if state.problem is not None and (problem is None or problem.code != state.problem.code):
        emit.append(Emit(ProblemCleared(state.problem.code), "it is gone"))
    if problem is not None:
        emit.append(Emit(ProblemFound(problem), str(problem)))
    return replace(state, problem=problem), emit
