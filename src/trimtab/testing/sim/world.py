"""One simulation: an installation with its replicas, its people and its mishaps, on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.errors import TrimtabError
from trimtab.core.model.decision import Decision
from trimtab.core.model.facts import AppRegistered, ChangeArrived, Fact, Recorded
from trimtab.core.model.identity import EnvironmentId, app_object
from trimtab.core.model.opening import Opening
from trimtab.core.model.specification import ScheduleSpec, Specification, WindowSpec
from trimtab.engine.attesting import Attesting, StoredRuns
from trimtab.engine.checkouts import Checkouts
from trimtab.engine.delivery import Delivery, GateCommand, Retirements
from trimtab.engine.groups import Peers
from trimtab.engine.loop import Engine, Kind
from trimtab.engine.observe import Applications, Environments, Rollouts, Runs, Turns
from trimtab.engine.pipeline import Files, Pipeline
from trimtab.engine.replicas import Lead, Sharing
from trimtab.engine.step_reports import StepReports
from trimtab.engine.steps import EarlierRuns, Steps
from trimtab.engine.trusting import Trusting
from trimtab.ports.store import Controller
from trimtab.testing.memory_keys import MemoryKeys
from trimtab.testing.memory_measurements import MemoryMeasurements
from trimtab.testing.memory_parts import MemoryPartFiles
from trimtab.testing.memory_reports import MemoryReports
from trimtab.testing.memory_secrets import MemorySecrets
from trimtab.testing.memory_source import File, MemorySource
from trimtab.testing.memory_step_cache import MemoryStepCache
from trimtab.testing.memory_workspaces import MemoryWorkspaces
from trimtab.testing.sim import promises
from trimtab.testing.sim.changes import Push
from trimtab.testing.sim.controller import Life, Machine
from trimtab.testing.sim.history import History, PromiseBroken
from trimtab.testing.sim.links import CALM, Link, StoreLink
from trimtab.testing.sim.mishaps import Mishaps
from trimtab.testing.sim.people import People
from trimtab.testing.sim.promises import FRAME_S
from trimtab.testing.sim.scenario import CALM_BEFORE_S, Scenario, scenario
from trimtab.testing.sim.sight import Sight
from trimtab.testing.sim.truth import (
    TrueArtifacts,
    TrueGateway,
    TrueProcesses,
    TrueRuntime,
    TrueStateRepository,
    TrueStore,
)
from trimtab.testing.sim.virtual_time import EPOCH, TrueClock, VirtualLoop, run

SETTLES_WITHIN_S = 300.0
"""When faults have ceased, everything has ended and agrees after at most this long."""
QUIET_S = 3.0
"""How long it has to stay as it is to be the end."""


class AlwaysOpen:
    """A calendar without closing times."""

    def opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        del windows, now
        return Opening(is_open=True)

    def next_time(self, schedule: ScheduleSpec, after: float) -> float | None:
        del schedule, after
        return None


class Noted:
    """A kind whose decisions are seen by the one who sees everything, as soon as they are stored."""

    def __init__(self, kind: Kind, newest: dict[str, Decision[Any]]) -> None:
        self._kind, self._newest = kind, newest
        self.state_type, self.fresh = kind.state_type, kind.fresh

    async def decide(self, state: Any, facts: tuple[Recorded, ...], now: float) -> Decision[Any]:
        decision = await self._kind.decide(state, facts, now)
        self._newest[getattr(state, "id", None) or _object_of(state)] = decision
        return decision


def _object_of(state: Any) -> str:
    return state.environment.object_id if isinstance(state, EnvironmentState) else ""


class Ports:
    """One controller's links to the ports that all share."""

    def __init__(self, world: World, life: Life) -> None:
        def link(name: str, port: Any) -> Any:
            return Link(life, name, port, world.history)

        self.gateway, self.metrics = link("gateway", world.gateway), link("metrics", world.gateway)
        self.runtime, self.processes = link("runtime", world.runtime), link("processes", world.processes)
        self.source, self.artifacts = link("source", world.source), link("artifacts", world.artifacts)
        git = world.state_repository
        self.state_repository: Any = Link(life, "state repository", git, world.history, lands=git.head_now)
        self.measurements = link("measurements", world.measurements)

    def kinds(self, store: Any) -> dict[str, Kind]:
        return {
            "app": Applications(self.source),
            "run": Runs(self.processes),
            "turn": Turns(),
            "env": Environments(
                self.state_repository, self.artifacts, self.gateway, self.runtime, self.metrics, AlwaysOpen()
            ),
            "rollout": Rollouts(
                self.gateway, self.metrics, self.runtime, self.processes, self.measurements, Peers(store)
            ),
        }


class World:
    """What all replicas share, and what befalls them."""

    def __init__(self, plan: Scenario, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.clock = TrueClock()
        self.rng = Random(f"world {plan.seed}")
        self.history = History(self.clock)
        self.sight = Sight(self.clock, self.history)
        self.sight.certain_clocks = plan.certain_clocks
        self.store = self.sight.store = TrueStore(self.sight)
        self.runtime = self.sight.runtime = TrueRuntime(self.clock, self.sight)
        self.runtime.shares = plan.shares
        self.gateway = self.sight.gateway = TrueGateway(self.clock, self.sight, self.runtime)
        self.state_repository = self.sight.state_repository = TrueStateRepository(self.sight)
        self.processes = self.sight.processes = TrueProcesses(self.clock, folder / "logs")
        self.artifacts = self.sight.artifacts = TrueArtifacts(folder / "artifacts")
        self.keys = MemoryKeys()
        self.source = MemorySource()
        self.workspaces = MemoryWorkspaces(folder / "workspaces")
        self.step_cache = MemoryStepCache(folder / "cache")
        self.measurements = MemoryMeasurements(self.clock)
        self.specifications: dict[str, Specification] = {}
        self.pushed: list[Push] = []
        self.machines = [
            Machine(
                f"controller {number + 1}",
                Random(f"machine {plan.seed} {number}"),
                self.clock,
                self.history,
                self.start,
            )
            for number in range(plan.replicas)
        ]
        self.mishaps, self.people = Mishaps(self), People(self)

    # --- a controller ---

    def start(self, life: Life) -> Engine:
        """A controller's program, with nothing in its memory."""
        newest: dict[str, Decision[Any]] = {}

        def committed(place: str) -> None:
            decision = newest.pop(place, None)
            if decision is not None:
                self.sight.decided(decision)

        store: Any = StoreLink(life, self.store, self.history, committed)
        ports, owner = Ports(self, life), f"{life.name}, life {life.number}" if self.plan.renames else life.name
        return Engine(
            store=store,
            clock=life,
            traffic=ports.gateway,
            kinds={name: Noted(kind, newest) for name, kind in ports.kinds(store).items()},
            handlers={**self._pipeline(ports, life, store).handlers(), **self._delivery(ports, life, store).handlers()},
            owner=owner,
            lead=Lead("gateway/sim", store, ports.gateway, life, owner) if self.plan.led else None,
            sharing=Sharing(store, Controller(owner, url="", version="", host="", home="", pid=0, started_at=0.0)),
        )

    def _pipeline(self, ports: Ports, life: Life, store: Any) -> Pipeline:
        steps = Steps(
            checkouts=Checkouts(ports.source, self.folder / "runs"),
            processes=ports.processes,
            workspaces=self.workspaces,
            cache=self.step_cache,
            secrets=MemorySecrets(),
            reports=StepReports(self.workspaces, MemoryReports()),
            env={},
            earlier=EarlierRuns(store),
        )
        trusting = Trusting(ports.artifacts, self.keys, life)
        attesting = Attesting(trusting, self.keys, StoredRuns(store), "urn:sim", "1")
        files = MemoryPartFiles()
        return Pipeline(ports.source, ports.artifacts, self.workspaces, steps, self._compile, files, attesting)

    def _delivery(self, ports: Ports, life: Life, store: Any) -> Delivery:
        return Delivery(
            ports.state_repository,
            ports.artifacts,
            ports.runtime,
            ports.gateway,
            ports.processes,
            life,
            Trusting(ports.artifacts, self.keys, life),
            Retirements(store),
            _gate_command,
        )

    def _compile(self, text: str, where: str, files: Files) -> Specification:
        del where, files
        return self.specifications[text]

    # --- what people and mishaps need ---

    def append(self, place: str, fact: Fact, reason: str = "") -> None:
        self.store.append([Recorded(place, fact, reason=reason, actor="Ada")], self.clock.now())

    def push(self, made: Push, *, announced: bool = True) -> None:
        self.specifications[made.subject] = made.specification
        self.pushed.append(made)
        files = {"trimtab.yaml": File(made.subject.encode())}
        change = self.source.commit(made.app, files, subject=made.subject, at=self.clock.now())
        self.sight.nature_of_commit[change.commit], self.sight.heads[made.app] = made.nature, change.commit
        self.history.coverage[f"change: {made.nature}"] += 1
        self.history.note("Ada", f"pushes {change.commit[:8]}: {made.subject}{'' if announced else ' (unannounced)'}")
        if announced:
            self.append(app_object(made.app), ChangeArrived(change, "push"))

    def push_again(self, app: str, which: float) -> None:
        """Somebody reverts to what was pushed before: another commit with the same content."""
        mine = [made for made in self.pushed if made.app == app]
        if mine:
            self.push(mine[int(which * len(mine))])

    @property
    def environments(self) -> list[EnvironmentId]:
        return list(self.sight.environments)

    # --- time ---

    async def simulate(self) -> None:
        """Everything, from the first push until all is quiet."""
        running = [asyncio.create_task(machine.run()) for machine in self.machines]
        for made in self.plan.first:
            self.append(app_object(made.app), AppRegistered())
            self.push(made)
        try:
            await self._until(CALM_BEFORE_S)
            self._let_weather_in()
            for event in self.plan.events:
                await self._until(event.at)
                self._happen(event.what, event.about)
            await self._until(self.plan.chaos_ends)
            self.mishaps.cease()
            self.people.tidy_up()
            await self._settle()
        finally:
            for task in [*running, *(work for machine in self.machines for work in machine.works)]:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _let_weather_in(self) -> None:
        for machine, skew_s in zip(self.machines, self.plan.skews_s, strict=True):
            machine.weather, machine.off_s = self.plan.weather, skew_s
            machine.dozes_before = self.plan.dozes_before

    def _happen(self, what: str, about: tuple[Any, ...]) -> None:
        if what == "push":
            self.push(about[0], announced=self.rng.random() < 0.8)
        elif what == "push_again":
            self.push_again(*about)
        elif hasattr(self.people, what):
            getattr(self.people, what)(*about)
        else:
            getattr(self.mishaps, what)(*about)

    async def _until(self, at: float) -> None:
        while self.clock.now() - EPOCH < at:
            await self._frame()

    async def _frame(self) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop) and loop.was_busy:
            self.history.breaks("Nobody works without pause.", "tasks ran again and again while time stood still")
        if self.history.broken:
            raise PromiseBroken("\n".join(self.history.broken))
        self.mishaps.live()
        self.people.live()
        for environment in self.environments:
            self.gateway.serve(environment, int(self.plan.requests_per_s * FRAME_S))
        self.sight.look()
        await asyncio.sleep(FRAME_S)

    async def _settle(self) -> None:
        """Until all has ended and agrees, for a while."""
        deadline, quiet_since = self.clock.now() + SETTLES_WITHIN_S, self.clock.now()
        while self.clock.now() - quiet_since < QUIET_S and self.clock.now() < deadline:
            await self._frame()
            if self.open_promises():
                quiet_since = self.clock.now()
        for promise in promises.IN_THE_END:
            self.sight.check(promise)
        if self.history.broken:
            raise PromiseBroken("\n".join(self.history.broken))

    def open_promises(self) -> bool:
        """Whether anything is still under way."""
        return any(next(promise(self.sight), None) for promise in promises.IN_THE_END)


def _gate_command(gate: Any) -> GateCommand:
    return GateCommand(("/bin/sh", "-c", gate.run or "true"), {})


class _Defects(logging.Handler):
    """What the engine logs because it should never happen."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, TrimtabError):
            self._history.breaks("No decision and no action breaks.", f"{record.getMessage()}: {error!r}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed."""

    seed: int
    broken: tuple[str, ...]
    lines: tuple[str, ...]
    coverage: dict[str, int]
    digest: str
    simulated_s: float


def simulate(seed: int, plan: Scenario | None = None) -> Outcome:
    """Run one seed; broken promises are in the outcome."""
    log = logging.getLogger("trimtab.engine")
    with tempfile.TemporaryDirectory(prefix="trimtab-sim-", dir=_memory_folder()) as folder:
        world = World(plan or scenario(seed), Path(folder))
        defects, before = _Defects(world.history), log.propagate
        log.addHandler(defects)
        log.propagate = False
        simulated_s = 0.0

        async def timed() -> None:
            nonlocal simulated_s
            try:
                await world.simulate()
            finally:
                simulated_s = world.clock.now() - EPOCH

        try:
            with contextlib.suppress(PromiseBroken):
                run(timed())
        finally:
            log.removeHandler(defects)
            log.propagate = before
    history = world.history
    return Outcome(
        seed, tuple(history.broken), tuple(history.lines), dict(history.coverage), history.digest(), simulated_s
    )


def calm(plan: Scenario) -> Scenario:
    """The same without any mishap: only people and their changes."""
    people = [e for e in plan.events if e.what in ("push", *People.DEEDS)]
    return replace(plan, weather=CALM, skews_s=(0.0,) * plan.replicas, events=tuple(people))


def _memory_folder() -> str | None:
    """Nobody reads these files twice: memory is fast enough for them."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
