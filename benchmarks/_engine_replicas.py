"""Several controllers on one store, whose leader is paused in the middle of many rollouts and woken after another one
took over: how long that took, and whether the one that woke changed anything (it must not).

Engine, leases, sharing and store are the real ones, in processes of their own; so is the hand that writes for the data
plane. The data plane itself is a file: every instruction is a line with its fence, and takes up to 0.5 s to get there,
so that many are on their way whenever a controller is paused.

    python -m benchmarks._engine_replicas [--rounds 20] [--database URL] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import _engine_scale
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.envoy.hand import Hand
from trimtab.adapters.git import GitStateRepository
from trimtab.adapters.store_sql.opening import open_store
from trimtab.app.identity import is_gone, this_controller
from trimtab.core.errors import StaleFence, stale_fence
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.traffic import Share
from trimtab.engine.loop import Engine
from trimtab.engine.observe import Applications, Environments, Rollouts
from trimtab.engine.replicas import Lead, Sharing

NAMES = ("ann", "ben", "cleo")
ROLLOUTS = 50
INSTRUCTIONS, REFUSED = "instructions", "refused"
SLOWEST_S = 0.5
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Instruction:
    """One that the data plane took: when (seconds since the epoch), under which fence, for which environment."""

    at: float
    fence: int
    environment: str


class Plane(_engine_scale.World):
    """A data plane in a folder, moved by one hand at a time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(rolling=True)
        self._folder, self._hand = folder, Hand(folder)
        self._chance = random.Random(os.getpid())

    async def lead(self, fence: int) -> None:
        self._hand.take(fence)

    async def lease(self, environment: EnvironmentId, lease: str, share: Share, fence: int) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, SLOWEST_S))
        try:
            with self._hand.writing():
                if fence != self._hand.fence:
                    raise stale_fence("plane", self._hand.fence or 0, fence)
                self._note(INSTRUCTIONS, environment, fence)
        except StaleFence:
            self._note(REFUSED, environment, fence)
            raise

    def _note(self, file: str, environment: EnvironmentId, fence: int) -> None:
        with open(self._folder / file, "ab", buffering=0) as log:
            log.write(f"{time.time():.6f} {fence} {environment}\n".encode())


def work(folder: Path, place: Path | str) -> None:
    """One controller, until it is killed."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    store, clock, world = open_store(place), SystemClock(), Plane(folder)
    plane: Any = world
    me = this_controller(folder, "http://127.0.0.1", clock.now())
    engine = Engine(
        store=store,
        clock=clock,
        traffic=plane,
        kinds={
            "app": Applications(plane),
            "env": Environments(GitStateRepository(folder / "git"), plane, plane, plane, plane, plane),
            "rollout": Rollouts(plane, plane, plane, plane, plane, lambda _: ()),
        },
        handlers={},
        owner=me.owner,
        lead=Lead("gateway/local", store, plane, clock, me.owner),
        sharing=Sharing(store, me, is_gone=lambda other: is_gone(me, other)),
    )
    asyncio.run(engine.run())


class Installation:
    """Controllers on one folder. One that is ended because it was paused while it held the hand is started again."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self.folder, self._place = folder, database or str(folder / "store.db")
        _engine_scale.plant(folder, ROLLOUTS, rolling=True)
        if database is not None:
            _copy(folder / "store.db", database)
        (folder / INSTRUCTIONS).touch()
        (folder / REFUSED).touch()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._read = 0
        self.instructions: list[Instruction] = []
        self.ended_in_writing = 0

    def keep_running(self) -> None:
        for name in NAMES:
            known = self._running.get(name)
            if known is None or known.poll() is not None:
                assert known is None or known.returncode == -signal.SIGKILL, (self.folder / f"{name}.log").read_text()
                self.ended_in_writing += known is not None
                self._running[name] = self._start(name)

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "benchmarks._engine_replicas", "--work", str(self.folder), "--database"]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen([*words, self._place], stderr=log)

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def leader(self) -> int:
        """The process that holds the lead, as its name in the lease says."""
        store = open_store(self._place if "://" in self._place else Path(self._place))
        try:
            row = store.get("gateway/local")
            return int(row.owner.split("-")[-2]) if row is not None and row.owner else 0
        finally:
            store.close()

    def look(self) -> None:
        """Read what was instructed since."""
        with (self.folder / INSTRUCTIONS).open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                at, fence, environment = line.decode().split()
                self.instructions.append(Instruction(float(at), int(fence), environment))
                self._read += len(line)

    def stale(self) -> int:
        """Instructions that came after one with a higher fence."""
        highest = stale = 0
        for instruction in self.instructions:
            stale += instruction.fence < highest
            highest = max(highest, instruction.fence)
        return stale

    def until(self, condition: Callable[[], bool], why: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"did not happen within {PATIENCE_S:g} s: {why}"
            self.keep_running()
            self.look()
            time.sleep(0.02)


def _copy(file: Path, url: str) -> None:
    with sqlite3.connect(file) as planted:
        rows = planted.execute("SELECT id, state, wake_at FROM objects").fetchall()
    store = open_store(url)
    statement = "INSERT INTO objects (id, state, wake_at) VALUES (:id, :state, :at)"
    store._database.execute_many(statement, [{"id": key, "state": state, "at": at} for key, state, at in rows])
    store.close()


@contextmanager
def installation(folder: Path, database: str | None) -> Iterator[Installation]:
    made = Installation(folder, database)
    try:
        made.keep_running()
        yield made
    finally:
        made.stop()


def pause_and_resume(made: Installation, chance: random.Random) -> list[float]:
    """Pause the leader, wake it while another one is taking over or has done so; how long each rollout was without
    instructions (seconds)."""
    began = len(made.instructions)
    made.until(lambda: len(_environments(made, began, 0)) == ROLLOUTS, "every rollout is under way")
    leader, fence = made.leader(), made.instructions[-1].fence
    paused_at = time.time() + chance.uniform(0.0, 0.5)
    made.until(lambda: time.time() >= paused_at, "some moment comes")
    os.kill(leader, signal.SIGSTOP)
    stopped_at, wake_when = time.time(), chance.randint(1, ROLLOUTS)
    made.until(lambda: len(_environments(made, began, fence)) >= wake_when, "another one takes over")
    _wake(leader)
    made.until(lambda: len(_environments(made, began, fence)) == ROLLOUTS, "another one has taken over everything")
    return [at - stopped_at for at in _environments(made, began, fence).values()]


def _wake(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # it was ended by the one that took over, since it held the hand


def _environments(made: Installation, began: int, above: int) -> dict[str, float]:
    """When each environment was first instructed under a fence above this one."""
    found: dict[str, float] = {}
    for instruction in made.instructions[began:]:
        if instruction.fence > above:
            found.setdefault(instruction.environment, instruction.at)
    return found


def replicas(folder: Path, rounds: int, database: str | None = None, seed: int = 20) -> dict[str, float]:
    """So many rounds of ROLLOUTS trials each. `database`: URL of an empty schema; else a file in `folder`."""
    chance, waits_s = random.Random(seed), []
    with installation(folder, database) as made:
        for _ in range(rounds):
            waits_s += pause_and_resume(made, chance)
        noticed = len(made.instructions)
        made.until(lambda: len(made.instructions) > noticed + 4 * ROLLOUTS, "the last one that woke has had its time")
    waits_s.sort()
    return {
        "pause_trials": len(waits_s),
        "stale_writes": made.stale(),
        "refused_writes": len((folder / REFUSED).read_text().splitlines()),
        "ended_in_writing": made.ended_in_writing,
        "takeover_p50_s": waits_s[len(waits_s) // 2],
        "takeover_p99_s": waits_s[int(len(waits_s) * 0.99)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Pause the leader of several controllers, wake it later, count")
    parser.add_argument("--rounds", type=int, default=20, help=f"of {ROLLOUTS} trials each")
    parser.add_argument("--database", help="URL of an empty PostgreSQL schema (default: a file)")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to use (default: here)")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        return work(options.work, options.database if "://" in options.database else Path(options.database))
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="benchmark-") as folder:
        print(json.dumps(replicas(Path(folder), options.rounds, options.database)))
    return None


if __name__ == "__main__":
    main()
