"""A frozen look at the world for each kind of object, taken just before its decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.core.decide.application import (
    ApplicationReading,
    AppState,
    decide_application,
    schedules_to_ask,
    wants_look,
)
from trimtab.core.decide.environment import (
    DesiredReading,
    EnvironmentReading,
    EnvironmentState,
    decide_environment,
    windows_to_ask,
)
from trimtab.core.decide.previews import ports_to_ask
from trimtab.core.decide.rollout import Peer, RolloutReading, RolloutState, decide_rollout
from trimtab.core.decide.run import RunState, StepReading, decide_run
from trimtab.core.decide.run.trying import is_infrastructure
from trimtab.core.decide.schedules import Times
from trimtab.core.decide.turns import TurnsState, decide_turns
from trimtab.core.errors import TrimtabError
from trimtab.core.model.decision import Decision
from trimtab.core.model.facts import AppRegistered, Recorded
from trimtab.core.model.identity import EnvironmentId, ObjectId, app_of, parse_environment
from trimtab.core.model.measure import Measurement
from trimtab.core.model.opening import Opening
from trimtab.core.model.specification import ScheduleSpec, WindowSpec
from trimtab.core.model.traffic import PairCounts
from trimtab.core.say import printable
from trimtab.engine.pull_requests import look_at_pulls
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.calendar import Calendar
from trimtab.ports.forge import Forges, ForgeSecrets
from trimtab.ports.measurements import Measurements, Watch
from trimtab.ports.processes import Processes, ProcessStatus
from trimtab.ports.runtime import Runtime
from trimtab.ports.source import Source, StateRepository
from trimtab.ports.traffic import Metrics, Traffic

HOPELESS = ("artifact-missing", "artifact-corrupt", "artifact-schema")
"""Problems with a release that do not pass by themselves."""


@dataclass(frozen=True, slots=True)
class Applications:
    """Without `forges`, only pull requests in Trimtab's own repository are seen; without `traffic`, all ports count as
    free; without `calendar`, no schedule has a time."""

    source: Source
    forges: Forges | None = None
    secrets: ForgeSecrets | None = None
    traffic: Traffic | None = None
    calendar: Calendar | None = None
    state_type: type[Any] = AppState

    def fresh(self, object_id: ObjectId) -> AppState:
        return AppState(app_of(object_id))

    async def decide(self, state: AppState, facts: tuple[Recorded, ...], now: float) -> Decision[AppState]:
        registered = [recorded.fact for recorded in facts if isinstance(recorded.fact, AppRegistered)]
        seen = replace(state, source=[state.source, *registered][-1])
        looks = wants_look(seen, facts, now)
        reading = await self._look(seen, facts) if looks else ApplicationReading(looked=False)
        reading = replace(
            reading, free_ports=await self._free_ports(state, facts), times=self._times(state, facts, now)
        )
        return decide_application(state, facts, reading, now)

    def _times(self, state: AppState, facts: tuple[Recorded, ...], now: float) -> Times:
        """A rule that cannot be understood has no times; `trimtab validate` says so before it comes here."""
        times: dict[ScheduleSpec, float | None] = {}
        for schedule in schedules_to_ask(state, facts) if self.calendar is not None else ():
            try:
                times[schedule] = self.calendar.next_time(schedule, now) if self.calendar is not None else None
            except TrimtabError:
                times[schedule] = None
        return times

    async def _free_ports(self, state: AppState, facts: tuple[Recorded, ...]) -> frozenset[int]:
        wanted = ports_to_ask(state.previews, facts)
        if wanted is None:
            return frozenset()
        host, ports = wanted
        return frozenset(ports) if self.traffic is None else await self.traffic.free_ports(host, ports)

    async def _look(self, state: AppState, facts: tuple[Recorded, ...]) -> ApplicationReading:
        app, source = state.name, state.source
        try:
            if source.poll_url is not None:
                head = await self.source.fetch(app, source.poll_url, source.branch)
            else:
                head = await self.source.head(app, source.branch)
            pulls = await look_at_pulls(self.source, self.forges, self.secrets, state, facts)
        except TrimtabError as error:
            return ApplicationReading(problem=error.problem)
        return ApplicationReading(head, pulls=pulls)


@dataclass(frozen=True, slots=True)
class Runs:
    processes: Processes
    processors: int = 2
    """How many steps of a run may run side by side if it does not say."""
    state_type: type[Any] = RunState

    def fresh(self, object_id: ObjectId) -> RunState:
        return RunState(app_of(object_id), int(object_id.rpartition("/")[2]))

    async def decide(self, state: RunState, facts: tuple[Recorded, ...], now: float) -> Decision[RunState]:
        ended: dict[str, StepReading] = {}
        for step in state.steps.values():
            status = await self.processes.status(step.process) if step.status == "running" else None
            if status is not None and status.phase in ("exited", "lost"):
                ended[step.process] = step_reading(status, self.processes.log_path(step.process))
        return decide_run(state, facts, ended, now, self.processors)


@dataclass(frozen=True, slots=True)
class Turns:
    state_type: type[Any] = TurnsState

    def fresh(self, object_id: ObjectId) -> TurnsState:
        return TurnsState(app_of(object_id), object_id.rpartition("/")[2])

    async def decide(self, state: TurnsState, facts: tuple[Recorded, ...], _now: float) -> Decision[TurnsState]:
        return decide_turns(state, facts)


@dataclass(frozen=True, slots=True)
class Environments:
    state_repository: StateRepository
    artifacts: Artifacts
    traffic: Traffic
    runtime: Runtime
    metrics: Metrics
    calendar: Calendar
    state_type: type[Any] = EnvironmentState

    def fresh(self, object_id: ObjectId) -> EnvironmentState:
        return EnvironmentState(parse_environment(object_id))

    async def decide(
        self, state: EnvironmentState, facts: tuple[Recorded, ...], now: float
    ) -> Decision[EnvironmentState]:
        windows, place = windows_to_ask(state), state.place
        reading = EnvironmentReading(
            desired=await self._desired(state),
            traffic=await self.traffic.reading(state.environment),
            instances=await self.runtime.instances(state.environment),
            counts=await self.metrics.counts(state.environment) if place is not None and place.budget else {},
            opening=self._opening(windows, now),
            windows=windows,
        )
        return decide_environment(state, facts, reading, now)

    def _opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        """A rule that cannot be understood opens nothing; `trimtab validate` says so before it comes here."""
        try:
            return self.calendar.opening(windows, now)
        except TrimtabError:
            return Opening(is_open=False)

    async def _desired(self, state: EnvironmentState) -> DesiredReading | None:
        if state.environment.is_preview:
            return None  # Git says nothing of it
        said = await self.state_repository.desired(state.environment)
        if said is None:
            return None
        if said.commit == state.seen_commit and said.release == state.live:
            # Seen and done: nothing will be asked of its manifest, and most looks at most environments end here.
            return DesiredReading(said.commit, said.release, said.author, said.subject, state.specification)
        if said.release is None:
            return DesiredReading(said.commit, actor=said.author, subject=said.subject, problem=said.problem)
        try:
            manifest = await self.artifacts.manifest(said.release)
        except TrimtabError as error:
            if error.problem.code not in HOPELESS:
                return None  # not known for now; what was written to Git is not refused for that
            return DesiredReading(said.commit, None, said.author, said.subject, problem=error.problem)
        return DesiredReading(said.commit, said.release, said.author, said.subject, manifest.specification)


@dataclass(frozen=True, slots=True)
class Rollouts:
    traffic: Traffic
    metrics: Metrics
    runtime: Runtime
    processes: Processes
    measurements: Measurements
    peers: Callable[[RolloutState], tuple[Peer, ...]]
    """The other members of the rollout's group, as stored now."""
    state_type: type[Any] = RolloutState

    def fresh(self, object_id: ObjectId) -> RolloutState:
        _, app, environment, number = object_id.split("/")
        return RolloutState(EnvironmentId(app, environment), int(number))

    async def decide(self, state: RolloutState, facts: tuple[Recorded, ...], now: float) -> Decision[RolloutState]:
        decision = decide_rollout(state, facts, await self._look(state), now)
        if decision.ended:
            self.measurements.forget(state.id)
        return decision

    async def _look(self, state: RolloutState) -> RolloutReading:
        place, compares = state.environment, bool(state.steps)
        waits = state.phase == "starting" and state.release != ""
        return RolloutReading(
            traffic=await self.traffic.reading(place),
            instances={arm: await self.runtime.instances(place, arm) for arm in (state.wanted if waits else ())},
            counts=await self.metrics.counts(place) if compares else {},
            pairs=await self.metrics.pairs(place) if compares else PairCounts(),
            measurements=await self._measure(state) if compares and state.place.analysis.metrics else {},
            gate=await self._gate(state),
            peers=self.peers(state) if compares and state.place.group else (),
        )

    async def _measure(self, state: RolloutState) -> Mapping[str, Measurement]:
        watch = Watch(
            state.id,
            state.environment,
            state.place.analysis.metrics,
            state.release,
            state.stable or "",
            state.started_at,
        )
        return await self.measurements.latest(watch)

    async def _gate(self, state: RolloutState) -> StepReading | None:
        if state.gate is None or state.gate.passed:
            return None
        status = await self.processes.status(state.gate.process)
        if status is None or status.phase not in ("exited", "lost"):
            return None
        return step_reading(status, self.processes.log_path(state.gate.process))


def step_reading(status: ProcessStatus, log: Path) -> StepReading:
    """How a step's process ended, in words that name the cause and quote the last line of its log."""
    took = (status.ended_at or status.started_at) - status.started_at
    last = last_line(log)
    quoted = f": {last}" if last else ""
    if status.phase == "lost":
        return StepReading("lost", None, took, "its supervisor is gone (killed, or the machine was restarted)")
    if status.over_limit and status.problem is not None:
        return StepReading("failed", status.exit_code, took, str(status.problem))
    if status.problem is not None and is_infrastructure(status.problem):
        return StepReading("lost", status.exit_code, took, str(status.problem))
    if status.timed_out:
        return StepReading("timed_out", status.exit_code, took, f"its time was up{quoted}")
    if status.problem is not None and status.exit_code is None:
        return StepReading("failed", None, took, str(status.problem))
    if status.stopped:
        return StepReading("cancelled", status.exit_code, took, "it was stopped")
    if status.exit_code == 0:
        return StepReading("passed", 0, took, last)
    if status.signal is not None:
        return StepReading("failed", status.exit_code, took, f"ended by signal {status.signal}{quoted}")
    return StepReading("failed", status.exit_code, took, f"exit code {status.exit_code}{quoted}")


def last_line(log: Path) -> str:
    """The last line of a log that has something in it, at most 300 characters; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            tail = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return printable(lines[-1][:300]) if lines else ""
