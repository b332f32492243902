"""One run of a working tree's pipeline, from its request to its end."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.adapters.git.working_tree import WorkingTree, forget
from trimtab.app.local.place import Place
from trimtab.app.local.reading import configuration, steps_named
from trimtab.app.local.watching import Logs, Watcher
from trimtab.app.local.wiring import LocalPorts, open_local, steps_of, wire_local
from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.actions import CancelSteps, CleanWorkspace
from trimtab.core.model.facts import Change, Recorded, RunCancelRequested, RunRequested
from trimtab.core.model.identity import ObjectId, app_of, run_object
from trimtab.core.model.specification import Specification
from trimtab.core.say import count
from trimtab.engine.housekeeping import Housekeeper
from trimtab.engine.loop import Engine, Order
from trimtab.views.board import Board
from trimtab.views.model import RunView

LOOK_EVERY_S = 0.04
TIDY_EVERY_RUNS = 20
"""How many runs there are between two looks for what nobody needs any more."""
EARLIER = 3
"""How many of the newest runs are looked at for what they left: the last one would do, were all of one application."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be run, and how."""

    steps: tuple[str, ...] = ()
    """With all that they need; none: every step."""
    fresh: bool = False
    """Whatever is in the cache."""
    keep_going: bool = False
    sandbox: bool = True
    """False: no step is isolated."""
    release: bool = False
    """Whether the release is cut, too: it goes nowhere."""
    branch: str | None = None
    """That the working tree is said to be on; None: the one that it is on."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Those that are given for this run; they come before all others."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `logs`: of the steps that ran here and now. `stopped_by`: the signal that ended it."""

    run: RunView
    logs: Mapping[str, Path]
    stopped_by: int | None = None


def run_steps(place: Place, wishes: Wishes, watcher: Watcher, say: Callable[[str], None]) -> Outcome:
    """Run the pipeline of the working tree. SIGINT, SIGTERM and SIGHUP stop it: the second one at once.

    `say` is told, in sentences, what is worth knowing besides. Raises `TrimtabError` when there is nothing to run:
    trimtab.yaml is wrong, a step is not there, the machine isolates none.
    """
    specification = configuration(place.top)
    only = steps_named(specification, wishes.steps)
    with place.alone(say):
        return asyncio.run(_run(place, wishes, specification, only, watcher, say))


async def _run(
    place: Place,
    wishes: Wishes,
    specification: Specification,
    only: tuple[str, ...],
    watcher: Watcher,
    say: Callable[[str], None],
) -> Outcome:
    ports = open_local(place, os.environ, wishes.secrets)
    try:
        if wishes.sandbox:
            await asyncio.to_thread(_ensure_isolated, ports, specification)
        await _end_what_was_left(ports, place, say)
        tree = WorkingTree(place.top, place.home / "git", specification.app)
        change = await tree.commit(actor(), ports.clock.now(), wishes.branch)
        if not tree.is_repository:
            say(f"{place.top} is no Git repository: all its files count but those that a .gitignore names (`git init`)")
        run = _LocalRun(ports, wire_local(ports, place, sandbox=wishes.sandbox), specification.app, watcher, say)
        outcome = await run.go(_request(wishes, change, run.number, specification, only))
        if run.number % TIDY_EVERY_RUNS == 0:
            await _tidy(ports, place)
        return outcome
    finally:
        await ports.close()


def actor() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in many containers
        return f"uid {os.getuid()}"


def _request(
    wishes: Wishes, change: Change, number: int, specification: Specification, only: tuple[str, ...]
) -> RunRequested:
    return RunRequested(
        number,
        change,
        fresh=tuple(step.name for step in specification.steps) if wishes.fresh else (),
        until="release" if wishes.release else "steps",
        only=only,
        keep_going=wishes.keep_going,
    )


def _ensure_isolated(ports: LocalPorts, specification: Specification) -> None:
    if any(step.sandbox.on for step in specification.steps) and (problem := ports.workspaces.problem()) is not None:
        hint = f"{problem.hint}; `--no-sandbox` runs them all the same, with a view of everything on this machine"
        raise TrimtabError(Problem(problem.code, problem.message, hint, problem.where))


async def _end_what_was_left(ports: LocalPorts, place: Place, say: Callable[[str], None]) -> None:
    """A `trimtab run` that was killed has left steps behind: they end now, and so does their run."""
    store, steps = ports.store, steps_of(ports, place)
    newest = store.facts(kinds=("RunRequested",), newest_first=True, limit=EARLIER)
    for object_id in dict.fromkeys(recorded.object for recorded in newest):
        row = store.get(object_id)
        if row is not None and row.ended and not store.pending(object_id):
            continue
        app, number = app_of(object_id), int(object_id.rpartition("/")[2])
        left = await ports.processes.list(f"step/{app}/{number}/")
        alive = sum(step.phase in ("starting", "running") for step in left)
        if alive:
            say(f"stopping {count(alive, 'step')} that run {number} left when it was killed")
        await steps.cancel(Order(CancelSteps(app, number), object_id, "cancel", 0))
        await steps.clean(Order(CleanWorkspace(app, number), object_id, "clean", 0))
        if row is None or not row.ended:
            cancelled = Recorded(object_id, RunCancelRequested(actor()), reason="the command that ran it was killed")
            store.append([cancelled], ports.clock.now())


async def _tidy(ports: LocalPorts, place: Place) -> None:
    keeper = Housekeeper(ports.store, ports.artifacts, ports.processes, ports.source, ports.step_cache, ports.clock)
    with suppress(TrimtabError):
        await keeper.tidy()
    await asyncio.to_thread(forget, place.home / "git")


class _LocalRun:
    """The run while it goes on."""

    def __init__(
        self, ports: LocalPorts, engine: Engine, app: str, watcher: Watcher, say: Callable[[str], None]
    ) -> None:
        self._ports, self._engine, self._app = ports, engine, app
        self._watcher, self._say = watcher, say
        self._logs = Logs(watcher)
        before = ports.store.facts(object_prefix=f"run/{app}/", kinds=("RunRequested",), newest_first=True, limit=1)
        self.number = max((f.fact.run for f in before if isinstance(f.fact, RunRequested)), default=0) + 1
        self._signals: list[int] = []

    @property
    def _object(self) -> ObjectId:
        return run_object(self._app, self.number)

    async def go(self, asked: RunRequested) -> Outcome:
        board = self._board()
        self._append(asked, "asked for on the command line")
        with self._hearing_signals():
            engine = asyncio.create_task(self._engine.run())
            try:
                run = await self._watch(board, engine)
                if len(self._signals) > 1:
                    await self._kill()
            finally:
                engine.cancel()
                await asyncio.gather(engine, return_exceptions=True)
        logs = {
            step.name: self._ports.processes.log_path(step.process) for step in run.steps if self._is_mine(step.process)
        }
        return Outcome(run, logs, self._signals[0] if self._signals else None)

    def _board(self) -> Board:
        """A board that knows nothing but what happens from now on."""
        newest = self._ports.store.facts(newest_first=True, limit=1)
        return Board.of(newest[0].seq if newest else 0, ())

    def _append(self, fact: RunRequested | RunCancelRequested, reason: str) -> None:
        recorded = Recorded(self._object, fact, reason=reason, actor=actor())
        self._ports.store.append([recorded], self._ports.clock.now())
        self._engine.wake(self._object)

    async def _watch(self, board: Board, engine: asyncio.Task[None]) -> RunView:
        """Until the run has ended and what it began is done, or it is to end at once. Raises what felled the engine."""
        while True:
            run = self._catch_up(board)
            done = run.status != "running" and not self._ports.store.pending(self._object)
            if done or len(self._signals) > 1:
                return run
            if engine.done():
                engine.result()
            await asyncio.sleep(LOOK_EVERY_S)

    def _catch_up(self, board: Board) -> RunView:
        # One fact at a time: an attempt's output is told before the next attempt begins.
        for recorded in self._ports.store.facts(after=board.seq, limit=10_000):
            board.apply([recorded])
            run = board.run(self._app, self.number)
            if run is not None and recorded.object == self._object:
                self._look(run)
                self._watcher.changed(run)
        run = board.run(self._app, self.number)
        assert run is not None  # its request was recorded
        self._look(run)
        return run

    def _look(self, run: RunView) -> None:
        for step in run.steps:
            if self._is_mine(step.process):
                self._logs.begin(step.process, self._ports.processes.log_path(step.process))
        self._logs.look(run)

    def _is_mine(self, process: str) -> bool:
        """Whether it ran in this run: what is taken from the cache names a process of an earlier one."""
        return process.startswith(f"step/{self._app}/{self.number}/")

    # --- signals ---

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._interrupted, number)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _interrupted(self, number: int) -> None:
        self._signals.append(number)
        if len(self._signals) == 1:
            self._say("stopping what runs; Ctrl-C once more stops it at once")
            self._append(RunCancelRequested(actor()), "asked for on the command line")

    async def _kill(self) -> None:
        steps = await self._ports.processes.list(f"step/{self._app}/{self.number}/")
        await asyncio.gather(*(self._ports.processes.kill(step.name) for step in steps))
