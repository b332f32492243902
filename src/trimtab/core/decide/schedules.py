"""Schedules: when the pipeline runs without anybody having changed something.

A time that came while nobody looked is made up for once, however many came. A schedule whose run is still on skips a
turn. One that deploys waits for the deployed branch's own run: two of them could overtake each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trimtab.core.model.decision import Emit
from trimtab.core.model.facts import Change, RunRequested, ScheduleSkipped, SchedulesPlanned
from trimtab.core.model.identity import run_object
from trimtab.core.model.specification import ScheduleSpec

Times = Mapping[ScheduleSpec, float | None]
"""For each schedule the first of its times that is yet to come (seconds since the epoch); None: there is none."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule with its next time; None: it has none, or it is not known yet. `run`: the one that it started, while
    that is on."""

    spec: ScheduleSpec
    next_at: float | None = None
    run: int | None = None


@dataclass(frozen=True, slots=True)
class Schedules:
    """`told`: the next times as they were recorded last."""

    planned: tuple[Planned, ...] = ()
    told: Mapping[str, float] = field(default_factory=dict)

    @property
    def specs(self) -> tuple[ScheduleSpec, ...]:
        return tuple(planned.spec for planned in self.planned)

    def next_after(self, now: float) -> float | None:
        """When the next one is due. One that is due already waits for something else than time."""
        times = [planned.next_at for planned in self.planned if planned.next_at is not None]
        return min((time for time in times if time > now), default=None)


def adopted(schedules: Schedules, specs: tuple[ScheduleSpec, ...]) -> Schedules:
    """As trimtab.yaml has them now. One that was changed is planned anew."""
    known = {planned.spec.name: planned for planned in schedules.planned}
    planned = []
    for spec in specs:
        old = known.get(spec.name, Planned(spec))
        planned.append(old if old.spec == spec else Planned(spec, run=old.run))
    return replace(schedules, planned=tuple(planned))


def finished(schedules: Schedules, run: int) -> Schedules:
    """A run has ended."""
    planned = (replace(planned, run=None if planned.run == run else planned.run) for planned in schedules.planned)
    return replace(schedules, planned=tuple(planned))


@dataclass(slots=True)
class Planning:
    """What the schedules do in one decision. `deploying`: the run that takes the deployed branch's place."""

    app: str
    head: Change | None
    times: Times
    now: float
    next_run: int
    branch_is_free: bool
    coverage_pct: Mapping[str, float] = field(default_factory=dict)
    deploying: int | None = None

    @property
    def commit(self) -> str | None:
        return self.head.commit if self.head is not None else None

    def take(self, schedules: Schedules) -> tuple[Schedules, list[Emit]]:
        emit: list[Emit] = []
        planned = tuple(self._one(planned, emit) for planned in schedules.planned)
        plan = {one.spec.name: one.next_at for one in planned if one.next_at is not None}
        if plan != schedules.told:
            emit.insert(0, Emit(SchedulesPlanned(plan)))  # what is said here holds until it is said anew
        return Schedules(planned, plan), emit

    def _one(self, planned: Planned, emit: list[Emit]) -> Planned:
        spec, following = planned.spec, self.times.get(planned.spec)
        if planned.next_at is None:
            return replace(planned, next_at=following)
        if self.now < planned.next_at:
            return planned
        if planned.run is not None:
            why = f"run {planned.run} of schedule {spec.name} is still on"
            emit.append(Emit(ScheduleSkipped(spec.name, planned.run), why))
            return replace(planned, next_at=following)
        if self.head is None:
            return replace(planned, next_at=following)
        if spec.deploy and not self.branch_is_free:
            return planned
        number = self.next_run
        self.next_run += 1
        if spec.deploy:
            self.deploying, self.branch_is_free = number, False
        asked = RunRequested(
            number,
            self.head,
            coverage_pct=self.coverage_pct,
            until="deploy" if spec.deploy else "steps",
            only=spec.steps,
            schedule=spec.name,
        )
        why = f"it is time for schedule {spec.name}, at {self.head.commit[:8]}: {self.head.subject}"
        emit.append(Emit(asked, why, object=run_object(self.app, number)))
        return Planned(spec, following, number)
