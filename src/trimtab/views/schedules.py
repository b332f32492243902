"""Schedules of an application, folded from its facts."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.model import facts as f
from trimtab.views.model import ScheduleView


def planned(known: tuple[ScheduleView, ...], recorded: f.Recorded) -> tuple[ScheduleView, ...]:
    """The views after one more fact."""
    match recorded.fact:
        case f.SchedulesPlanned(next_at=next_at):
            before = {view.name: view for view in known}
            return tuple(_moved(before.get(name), name, at) for name, at in next_at.items())
        case f.ScheduleSkipped(name=name):
            return tuple(replace(view, skipped=recorded.reason) if view.name == name else view for view in known)
        case _:
            return known


def _moved(view: ScheduleView | None, name: str, next_at: float) -> ScheduleView:
    if view is None:
        return ScheduleView(name, next_at)
    return view if view.next_at == next_at else replace(view, next_at=next_at, skipped="")
