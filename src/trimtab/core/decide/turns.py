"""The turns of a concurrency group: of its steps, in all runs of the application, one runs at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.core.model.decision import Decision, Emit
from trimtab.core.model.facts import (
    Recorded,
    RunCancelRequested,
    TurnAsked,
    TurnGiven,
    TurnRefused,
    TurnReturned,
)
from trimtab.core.model.identity import run_object


@dataclass(frozen=True, slots=True)
class TurnsState:
    app: str
    group: str
    holder: TurnAsked | None = None
    waiting: tuple[TurnAsked, ...] = ()


def decide_turns(state: TurnsState, facts: tuple[Recorded, ...]) -> Decision[TurnsState]:
    """Who is next, by the policy that whoever asks has stated (see `PendingPolicy`)."""
    emit: list[Emit] = []
    for recorded in facts:
        match recorded.fact:
            case TurnAsked() as asked:
                state, emitted = _asked(state, asked)
                emit += emitted
            case TurnReturned(run=run, step=step):
                left = tuple(asked for asked in state.waiting if (asked.run, asked.step) != (run, step))
                holder = state.holder
                if holder is not None and (holder.run, holder.step) == (run, step):
                    holder = None
                state = replace(state, holder=holder, waiting=left)
            case _:
                pass
    if state.holder is None and state.waiting:
        following = state.waiting[0]
        state = replace(state, holder=following, waiting=state.waiting[1:])
        said = f"it is the turn of {following.step} in `{state.group}`"
        emit.append(Emit(TurnGiven(following.step), said, object=run_object(state.app, following.run)))
    return Decision(state, emit=tuple(emit))


def _asked(state: TurnsState, asked: TurnAsked) -> tuple[TurnsState, list[Emit]]:
    emit: list[Emit] = []
    waiting = state.waiting
    if asked.pending != "queue":
        # Steps of the same run are no rivals: its own matrix waits in order.
        older = [other for other in waiting if other.run != asked.run]
        waiting = tuple(other for other in waiting if other.run == asked.run)
        emit += [Emit(TurnRefused(o.step, asked.run), object=run_object(state.app, o.run)) for o in older]
    holder = state.holder
    if asked.pending == "cancel" and holder is not None and holder.run != asked.run:
        reason = f"run {asked.run} is newer and wants its turn in `{state.group}`"
        cancel = RunCancelRequested(by=f"run {asked.run}", superseded=True)
        emit.append(Emit(cancel, reason, object=run_object(state.app, holder.run)))
    return replace(state, waiting=(*waiting, asked)), emit
