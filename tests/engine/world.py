"""The whole engine on in-memory ports and virtual time, with a store that can crash it at any of its writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.adapters.calendar import RuleCalendar
from trimtab.config import load
from trimtab.core.model.facts import AppRegistered, ChangeArrived, Fact, Recorded
from trimtab.core.model.identity import Digest, EnvironmentId, app_object
from trimtab.core.model.opening import Opening
from trimtab.core.model.specification import WindowSpec
from trimtab.engine.attesting import Attesting, StoredRuns
from trimtab.engine.checkouts import Checkouts
from trimtab.engine.delivery import Delivery, GateCommand, Retirements
from trimtab.engine.groups import Peers
from trimtab.engine.loop import Engine
from trimtab.engine.observe import Applications, Environments, Rollouts, Runs, Turns
from trimtab.engine.pipeline import Pipeline
from trimtab.engine.replicas import Lead
from trimtab.engine.step_reports import StepReports
from trimtab.engine.steps import EarlierRuns, Steps
from trimtab.engine.trusting import Trusting
from trimtab.ports.processes import ProcessSpec, ProcessStatus
from trimtab.ports.store import Store
from trimtab.testing.clock import ManualClock
from trimtab.testing.inline_threads import InlineThreads
from trimtab.testing.memory_artifacts import MemoryArtifacts
from trimtab.testing.memory_keys import MemoryKeys
from trimtab.testing.memory_measurements import MemoryMeasurements
from trimtab.testing.memory_parts import MemoryPartFiles
from trimtab.testing.memory_processes import Ending, MemoryProcesses
from trimtab.testing.memory_reports import MemoryReports
from trimtab.testing.memory_runtime import MemoryRuntime
from trimtab.testing.memory_secrets import MemorySecrets
from trimtab.testing.memory_source import File, MemorySource
from trimtab.testing.memory_state_repository import MemoryStateRepository
from trimtab.testing.memory_step_cache import MemoryStepCache
from trimtab.testing.memory_store import MemoryStore
from trimtab.testing.memory_traffic import MemoryTraffic
from trimtab.testing.memory_workspaces import MemoryWorkspaces
from trimtab.views.board import Board
from trimtab.views.model import RunView

PRODUCTION = EnvironmentId("shop", "production")
FRAME_S = 0.25

CONFIGURATION = """
app: shop
pipeline: {test: pytest}
service: {command: serve}
environments:
  production:
    strategy: {canary: {steps: [{weight: 20%, hold: 1s, requests: 10}, {weight: 50%, hold: 1s, requests: 20}]}}
    analysis: {latency: false, errors: {acceptable: 5%}}
"""


class Crash(BaseException):
    """The controller's process is gone; nothing of it runs any more."""


class CrashingStore:
    """A store that lets the controller die just before or just after its `at`-th write."""

    def __init__(self, store: Store, at: int | None = None, *, after: bool = False) -> None:
        self._store, self._at, self._after = store, at, after
        self.writes = 0
        self.crashed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return self._dying(method) if name in ("append", "commit", "done", "release_leases") else method

    def _dying(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.crashed.is_set():
                raise Crash
            self.writes += 1
            mine = self.writes == self._at
            if mine and not self._after:
                self._die()
            answer = method(*args, **kwargs)
            if mine:
                self._die()
            return answer

        return call

    def _die(self) -> None:
        self.crashed.set()
        raise Crash


class CountingProcesses(MemoryProcesses):
    """Remembers every process that was really started."""

    started: list[str]

    async def start(self, spec: ProcessSpec) -> ProcessStatus:
        if await self.status(spec.name) is None:
            self.started.append(spec.name)
        return await super().start(spec)


class AlwaysOpen(RuleCalendar):
    """A calendar without closing times."""

    def opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        del windows, now
        return Opening(is_open=True)


class World:
    """One installation. `failing`: releases by their subject, with the share of their requests that fails."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.store: Store = MemoryStore()
        self.source = MemorySource()
        self.state_repository = MemoryStateRepository()
        self.artifacts = MemoryArtifacts(folder / "artifacts")
        self.processes = CountingProcesses(self.clock, folder / "logs", lambda _: Ending(0.3, 0, "fine\n"))
        self.processes.started = []
        self.workspaces = MemoryWorkspaces(folder / "workspaces")
        self.step_cache = MemoryStepCache(folder / "cache")
        self.secrets = MemorySecrets()
        self.keys = MemoryKeys()
        self.runtime = MemoryRuntime(self.clock, ready_after_s=0.2)
        self.traffic = MemoryTraffic(self.clock)
        self.measurements = MemoryMeasurements(self.clock)
        self.folder = folder
        self.errors: dict[str, float] = {}
        self.requests_per_frame = 20
        self.highest_share_pct = 0.0
        self._owed: dict[Digest, float] = {}
        self._board = Board()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.crashing: CrashingStore | None = None

    # --- the controller ---

    def start(
        self,
        crash_at: int | None = None,
        *,
        after: bool = False,
        owner: str = "controller",
        lead: Lead | None = None,
    ) -> Engine:
        """A controller with nothing in its memory."""
        asyncio.get_running_loop().set_default_executor(InlineThreads())
        self.crashing = CrashingStore(self.store, crash_at, after=after)
        engine = self.engine(self.crashing, owner, lead)
        self._tasks[owner] = asyncio.create_task(engine.run())
        return engine

    async def kill(self, owner: str) -> None:
        """Nothing of the controller runs any more, and it lets go of nothing."""
        held = [row.object for row in self.store.objects("") if row.owner == owner]
        release, self.store.release_leases = self.store.release_leases, lambda *_: None  # type: ignore[method-assign]
        await self._end(owner)
        self.store.release_leases = release  # type: ignore[method-assign]
        assert held == [row.object for row in self.store.objects("") if row.owner == owner]

    def engine(self, store: Any, owner: str, lead: Lead | None = None) -> Engine:
        steps = Steps(
            checkouts=Checkouts(self.source, self.folder / "runs"),
            processes=self.processes,
            workspaces=self.workspaces,
            cache=self.step_cache,
            secrets=self.secrets,
            reports=StepReports(self.workspaces, MemoryReports()),
            env={"PATH": "/bin"},
            earlier=EarlierRuns(store),
        )
        trusting = Trusting(self.artifacts, self.keys, self.clock)
        attesting = Attesting(trusting, self.keys, StoredRuns(store), "http://trimtab", "1")
        files = MemoryPartFiles()
        pipeline = Pipeline(self.source, self.artifacts, self.workspaces, steps, load, files, attesting)
        delivery = Delivery(
            self.state_repository,
            self.artifacts,
            self.runtime,
            self.traffic,
            self.processes,
            self.clock,
            trusting,
            Retirements(self.store),
            lambda gate: GateCommand(("/bin/sh", "-c", gate.run or "true"), {}),
        )
        return Engine(
            store=store,
            clock=self.clock,
            traffic=self.traffic,
            kinds={
                "app": Applications(self.source, traffic=self.traffic, calendar=AlwaysOpen()),
                "run": Runs(self.processes),
                "turn": Turns(),
                "env": Environments(
                    self.state_repository, self.artifacts, self.traffic, self.runtime, self.traffic, AlwaysOpen()
                ),
                "rollout": Rollouts(
                    self.traffic, self.traffic, self.runtime, self.processes, self.measurements, Peers(self.store)
                ),
            },
            handlers={**pipeline.handlers(), **delivery.handlers()},
            owner=owner,
            lead=lead,
        )

    async def stop(self) -> None:
        for owner in list(self._tasks):
            await self._end(owner)

    async def _end(self, owner: str) -> None:
        task = self._tasks.pop(owner)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Crash):
            await task

    # --- the world ---

    def push(self, subject: str, configuration: str = CONFIGURATION) -> str:
        """A new commit, announced as the hook does it."""
        files = {"trimtab.yaml": File(configuration.encode()), "version.txt": File(subject.encode())}
        change = self.source.commit("shop", files, subject=subject, at=self.clock.now())
        self.append(ChangeArrived(change, "push"))
        return change.commit

    def append(self, fact: Fact, place: str = app_object("shop")) -> None:
        self.store.append([Recorded(place, fact)], self.clock.now())

    def register(self) -> None:
        self.append(AppRegistered())

    async def frame(self) -> None:
        """A quarter of a second with its requests; a controller that crashed is started again after a while."""
        self._serve()
        await self.clock.run_for(FRAME_S)
        if self.crashing is not None and self.crashing.crashed.is_set():
            await self.stop()
            for _ in range(8):
                self._serve()
                await self.clock.run_for(FRAME_S)
            self.start()

    def _serve(self) -> None:
        split = {r: n for r, n in self._split().items() if n}
        for release, requests in split.items():
            owed = self._owed.get(release, 0.0) + requests * self.errors.get(self.subject_of(release), 0.0)
            self._owed[release] = owed - int(owed)
            self.traffic.record(PRODUCTION, release, requests=requests, errors=int(owed))
        self.highest_share_pct = max(self.highest_share_pct, self.traffic.share(PRODUCTION).candidate_pct)

    def _split(self) -> dict[Digest, int]:
        if not any(route.environment == PRODUCTION for route in self.traffic.applied):
            return {}
        return self.traffic.split(PRODUCTION, self.requests_per_frame)

    async def until(self, condition: Callable[[], bool], within_s: float = 120.0) -> None:
        end = self.clock.now() + within_s
        while not condition():
            assert self.clock.now() < end, "\n".join(f"{r.object} {r.fact} {r.reason}" for r in self.facts()[-15:])
            await self.frame()

    async def next_run(self, files: Mapping[str, File]) -> RunView:
        """The next run, when it has ended, of a commit with these files."""
        number = len(self.board.runs("shop")) + 1
        self.append(ChangeArrived(self.source.commit("shop", files), "push"))

        def ended() -> RunView | None:
            found = self.board.run("shop", number)
            return found if found is not None and found.duration_s is not None else None

        await self.until(lambda: ended() is not None)
        found = ended()
        assert found is not None
        return found

    # --- what one sees ---

    def facts(self) -> tuple[Recorded, ...]:
        return self.store.facts(limit=100_000)

    @property
    def board(self) -> Board:
        """Folded from the facts. It goes on with those that are new: tests look at it at every frame."""
        self._board.apply(self.store.facts(after=self._board.seq, limit=100_000))
        return self._board

    def subject_of(self, release: Digest) -> str:
        return next((view.subject for view in self.board.releases("shop") if view.release == release), "")

    def ended(self, number: int) -> bool:
        """Whether rollout `number` has ended and Git agrees with what is live."""
        place = self.board.environment(PRODUCTION)
        rollouts = self.board.rollouts(PRODUCTION)
        mine = [rollout for rollout in rollouts if rollout.number == number]
        return bool(mine and mine[0].ended and place and place.desired == place.live)

    def commits(self) -> list[str]:
        """The first word of each commit in the state repository, oldest first."""
        return [commit.subject.split()[0] for commit in self.state_repository._commits]
