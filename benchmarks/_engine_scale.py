"""Many applications on one controller: what they cost while nothing happens, and how late decisions come when all of
them are rolled out at once.

The engine, its observers, the decisions, SQLite (`synchronous=FULL`) and the state repository (Git) are the real ones.
Gateway, instances and the applications' repositories answer from memory at once: what they cost is the data plane's.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.adapters.clock import SystemClock
from trimtab.adapters.git import GitStateRepository
from trimtab.adapters.store_sql.store import SqliteStore
from trimtab.codec import encode_state
from trimtab.core.decide.application import AppState
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.environment.state import Offer
from trimtab.core.decide.rollout import RolloutState
from trimtab.core.model.decision import Decision
from trimtab.core.model.desired import desired_path, render_desired
from trimtab.core.model.facts import Change, Recorded
from trimtab.core.model.identity import EnvironmentId, ObjectId
from trimtab.core.model.opening import ALWAYS, Opening
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification, WindowSpec
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.core.model.traffic import ArmCounts, Endpoint, Instance, PairCounts, Share, TrafficReading
from trimtab.core.stats.histogram import Histogram, bucket_of
from trimtab.engine.loop import Engine, Kind
from trimtab.engine.observe import Applications, Environments, Rollouts
from trimtab.engine.replicas import Lead, Sharing
from trimtab.ports.store import Controller

ME = Controller("benchmark", "http://127.0.0.1", "0", "here", "/", 1, 0.0)
CANDIDATE, STABLE, BEFORE = f"sha256:{'c' * 64}", f"sha256:{'5' * 64}", f"sha256:{'b' * 64}"
ENDLESS = StrategySpec(steps=(RolloutStep(5.0, hold_s=1e9),), deadline_s=1e9)


@dataclass(frozen=True, slots=True)
class Place:
    """One application with its production."""

    number: int

    @property
    def app(self) -> str:
        return f"app-{self.number}"

    @property
    def production(self) -> EnvironmentId:
        return EnvironmentId(self.app, "production")

    @property
    def specification(self) -> Specification:
        production = EnvironmentSpec("production", 10_000 + self.number, strategy=ENDLESS)
        return Specification(self.app, ServiceSpec("app"), (production,))


class World:
    """Gateway, instances and repositories that answer at once and from memory."""

    def __init__(self, *, rolling: bool) -> None:
        self._rolling = rolling
        self._began = time.time()

    async def head(self, app: str, branch: str) -> Change | None:
        return Change("0" * 40, branch, "ann", "the newest", 0.0)

    async def heads(self, app: str, prefix: str) -> tuple[Change, ...]:
        return ()

    async def instances(self, environment: EnvironmentId, arm: str | None = None) -> tuple[Instance, ...]:
        return (Instance("1", arm or STABLE, Endpoint("127.0.0.1", 1), "ready"),)

    async def reading(self, environment: EnvironmentId) -> TrafficReading:
        endpoints = {STABLE: (Endpoint("127.0.0.1", 1),)}
        if not self._rolling:
            return TrafficReading(STABLE, endpoints=endpoints)
        lease = f"rollout/{environment}/1/0"
        return TrafficReading(STABLE, CANDIDATE, lease, Share(5.0), endpoints=endpoints)

    async def lead(self, fence: int) -> None:
        """Taken."""

    async def lease(self, environment: EnvironmentId, lease: str, share: Share, fence: int) -> None:
        """Granted."""

    async def counts(self, environment: EnvironmentId) -> Mapping[str, ArmCounts]:
        """200 requests a second, 20 ms each, alike."""
        served = int((time.time() - self._began) * 200) + 5000
        return {arm: _counts(int(served * share)) for arm, share in ((CANDIDATE, 0.05), (STABLE, 0.95))}

    async def pairs(self, environment: EnvironmentId) -> PairCounts:
        return PairCounts()

    def opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        return ALWAYS

    def forget(self, rollout: ObjectId) -> None:
        """There are no measurements."""


def _counts(requests: int) -> ArmCounts:
    served = Histogram({bucket_of(20_000): requests})
    return replace(ArmCounts("1"), requests=requests, latency=served, recent=served)


class Punctual:
    """A kind whose decisions are timed against when they were due."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._due: dict[ObjectId, float] = {}
        self.lags_s: list[float] = []
        self.state_type = kind.state_type
        self.fresh = kind.fresh

    async def decide(self, state: Any, facts: tuple[Recorded, ...], now: float) -> Decision[Any]:
        if (due := self._due.get(state.id)) is not None:
            self.lags_s.append(now - due)
        decision = await self._kind.decide(state, facts, now)
        if decision.look_at is not None:
            self._due[state.id] = decision.look_at
        return decision


def plant(folder: Path, apps: int, *, rolling: bool) -> None:
    """A store and a state repository as they are when `apps` applications have been delivered (and, `rolling`, are in
    the middle of their next rollout)."""
    SqliteStore(folder / "store.db").close()
    commit = _plant_desired(folder, [Place(number) for number in range(apps)])
    rows: list[tuple[str, str]] = []
    for place in (Place(number) for number in range(apps)):
        live = Offer(STABLE, place.specification)
        app = AppState(place.app, head="0" * 40, next_run=7)
        environment = EnvironmentState(
            place.production,
            live=STABLE,
            specification=place.specification,
            history=(BEFORE,),
            desired=live,
            desired_commit=commit,
            seen_commit=commit,
            rollout=1 if rolling else None,
            next_rollout=2,
        )
        rows += [(f"app/{place.app}", encode_state(app)), (place.production.object_id, encode_state(environment))]
        if rolling:
            rows.append((f"rollout/{place.production}/1", encode_state(_in_step(place))))
    with sqlite3.connect(folder / "store.db") as connection:
        connection.executemany(
            "INSERT INTO objects (id, state, wake_at) VALUES (?, ?, ?)",
            [(*row, number / 1000) for number, row in enumerate(rows)],
        )


def _in_step(place: Place) -> RolloutState:
    now = time.time()
    return RolloutState(
        place.production,
        1,
        release=CANDIDATE,
        stable=STABLE,
        specification=place.specification,
        phase="shifting",
        started_at=now,
        phase_since=now,
        entered_at=now,
        routed=True,
        wanted={CANDIDATE: 1},
    )


def _plant_desired(folder: Path, places: Sequence[Place]) -> str:
    """All state files in one commit; its id."""
    asyncio.run(GitStateRepository(folder / "git").head())
    said = ["commit refs/heads/main\ncommitter Trimtab <trimtab@localhost> 1700000000 +0000\ndata 5\nPlant\n"]
    for place in places:
        content = render_desired(place.production, STABLE).decode()
        said.append(f"M 100644 inline {desired_path(place.production)}\ndata {len(content)}\n{content}\n")
    repository = ["git", "-C", str(folder / "git" / "state.git")]
    subprocess.run([*repository, "fast-import", "--quiet"], input="".join(said).encode(), check=True)
    asked = subprocess.run([*repository, "rev-parse", "main"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def controller(folder: Path, *, rolling: bool) -> tuple[Engine, Punctual, SqliteStore]:
    world: Any = World(rolling=rolling)
    state, store = GitStateRepository(folder / "git"), SqliteStore(folder / "store.db")
    rollouts = Punctual(Rollouts(world, world, world, world, world, lambda _: ()))
    engine = Engine(
        store=store,
        clock=SystemClock(),
        traffic=world,
        kinds={
            "app": Applications(world),
            "env": Environments(state, world, world, world, world, world),
            "rollout": rollouts,
        },
        handlers={},
        owner=ME.owner,
        lead=Lead("gateway/local", store, world, SystemClock(), ME.owner),
        sharing=Sharing(store, ME),
    )
    return engine, rollouts, store


def idle(folder: Path, apps: int, seconds: float) -> dict[str, float]:
    """What idle applications cost: per cent of one core over `seconds` (0: not measured), memory, and the CPU seconds
    of looking at each once (as after a restart, before that)."""
    folder.mkdir(parents=True, exist_ok=True)
    plant(folder, apps, rolling=False)
    engine, _, store = controller(folder, rolling=False)

    async def watch() -> tuple[float, float]:
        running = asyncio.create_task(engine.run())
        before, began = time.process_time(), time.time()
        while store.due(began, ME.owner, limit=1):
            await asyncio.sleep(0.1)
        once_s = time.process_time() - before
        before = time.process_time()
        await asyncio.sleep(seconds)
        spent_s = time.process_time() - before
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return once_s, spent_s

    once_s, spent_s = asyncio.run(watch())
    assert len(store.objects("app/")) + len(store.objects("env/")) == 2 * apps
    store.close()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"core_pct": 100 * spent_s / seconds if seconds else 0.0, "mb": peak_mb, "once_s": once_s}


def rollouts(folder: Path, count: int, seconds: float) -> dict[str, float]:
    """`count` rollouts observed at once: how late their decisions are (seconds)."""
    plant(folder, count, rolling=True)
    engine, punctual, store = controller(folder, rolling=True)

    async def watch() -> float:
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(3.0)
        punctual.lags_s.clear()
        before = time.process_time()
        await asyncio.sleep(seconds)
        spent = time.process_time() - before
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return spent

    spent_s = asyncio.run(watch())
    store.close()
    lags = sorted(punctual.lags_s)
    assert lags, "no rollout was decided"
    return {
        "p50_s": lags[len(lags) // 2],
        "p99_s": lags[int(len(lags) * 0.99)],
        "decisions_per_s": len(lags) / seconds,
        "core_pct": 100 * spent_s / seconds,
    }


def exponent(costs: Mapping[int, float]) -> float:
    """The slope of log cost over log size (least squares): 1 means that each costs the same however many there are."""
    points = [(math.log(size), math.log(cost)) for size, cost in costs.items()]
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return float(slope)


if __name__ == "__main__":  # one measurement in a process of its own, so that memory is its own
    import sys

    what, where, size, length = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    os.makedirs(where, exist_ok=True)
    print(json.dumps({"idle": idle, "rollouts": rollouts}[what](where, size, length)))
