"""What deciding costs: one tick, and very many applications.

One tick of a rollout under observation: claim, decode, decide, encode, commit. SQLite, `synchronous=FULL`.

The decision is the real one, on counts of a simulated service, and stored as the engine stores it. Every other tick is
made heavier: besides the evidence it records a fact for the environment and stores an action. Looking at the world
before the tick and taking the action out of the outbox after it are not timed. After each pair comes the limit to
compare with: a transaction of nothing but one INSERT of the state's bytes, into a file of its own in the same folder.

Then 100, 1,000 and 10,000 idle applications and 1,000 rollouts at once, see `_engine_scale`. The whole run also opens a
log of a million facts, see `_log`, and pauses the leader of three controllers in the middle of fifty rollouts, twenty
times, see `_engine_replicas`.

    python -m benchmarks.engine [--quick] [--json] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import _engine_replicas, _engine_scale, _log
from benchmarks._report import finish
from trimtab.adapters.store_sql.store import SqliteStore
from trimtab.codec import StateMemory, decode_state, encode_action, encode_state
from trimtab.core.decide.rollout import RolloutReading, RolloutState, decide_rollout
from trimtab.core.model.actions import CleanWorkspace
from trimtab.core.model.facts import ActionDone, InstancesReady, Recorded, RolloutRequested
from trimtab.core.model.identity import EnvironmentId, rollout_object
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.core.model.traffic import ArmCounts, Endpoint, Instance, Share, TrafficReading
from trimtab.core.stats.histogram import Histogram, bucket_of
from trimtab.ports.store import OutboxEntry, Store

MEMORY = StateMemory()
OWNER, LEASE_S = "benchmark", 10.0
PRODUCTION = EnvironmentId("shop", "production")
ROLLOUT = rollout_object(PRODUCTION, 1)
CANDIDATE, STABLE = f"sha256:{'c' * 64}", f"sha256:{'5' * 64}"
ENDLESS = StrategySpec(steps=(RolloutStep(5.0, hold_s=1e9),), deadline_s=1e9)
SPECIFICATION = Specification("shop", ServiceSpec("app"), (EnvironmentSpec("production", 8080, strategy=ENDLESS),))


class World:
    """A service whose two releases answer alike: 95 and 5 requests a tick, 20 ms each, give or take."""

    def __init__(self) -> None:
        self._chance = random.Random(20)
        self._counts = {CANDIDATE: ArmCounts("1"), STABLE: ArmCounts("1")}
        self._serve(STABLE, 5000)

    def next_reading(self) -> RolloutReading:
        self._serve(CANDIDATE, 5)
        self._serve(STABLE, 95)
        instance = Instance("shop-1", CANDIDATE, Endpoint("127.0.0.1", 1), "ready")
        traffic = TrafficReading(STABLE, CANDIDATE, f"{ROLLOUT}/0", Share(5.0))
        return RolloutReading(traffic, {CANDIDATE: (instance,)}, dict(self._counts))

    def _serve(self, release: str, requests: int) -> None:
        served: dict[int, int] = {}
        for _ in range(requests):
            bucket = bucket_of(self._chance.lognormvariate(math.log(20_000), 0.4))
            served[bucket] = served.get(bucket, 0) + 1
        counts, fresh = self._counts[release], Histogram(served)
        self._counts[release] = replace(
            counts,
            requests=counts.requests + requests,
            latency=counts.latency.plus(fresh),
            recent=counts.recent.plus(fresh),
        )


class Laps:
    """How long each part of each tick took (milliseconds)."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {"claim": [], "decode": [], "decide": [], "encode": [], "commit": []}
        self._last = time.perf_counter()

    def start(self) -> None:
        self._last = time.perf_counter()

    def end(self, part: str) -> None:
        now = time.perf_counter()
        self.ms[part].append((now - self._last) * 1000.0)
        self._last = now

    def whole(self) -> list[float]:
        return [sum(parts) for parts in zip(*self.ms.values(), strict=True)]


def tick(store: Store, reading: RolloutReading, number: int, laps: Laps, *, heavy: bool = False) -> str:
    """One whole tick; the state as stored."""
    now = time.time()
    laps.start()
    claim = store.claim(ROLLOUT, OWNER, now, LEASE_S)
    assert claim is not None
    laps.end("claim")
    stored = claim.state
    state = MEMORY.decode(ROLLOUT, RolloutState, stored) if stored else RolloutState(PRODUCTION, 1)
    laps.end("decode")
    decision = decide_rollout(state, claim.facts, reading, now)
    laps.end("decide")
    facts = [Recorded(emit.object or ROLLOUT, emit.fact, emit.reason) for emit in decision.emit]
    todo = []
    if heavy:
        facts.append(Recorded(PRODUCTION.object_id, InstancesReady(CANDIDATE, number), "the benchmark's own"))
        action = encode_action(CleanWorkspace("shop", number))
        todo.append(OutboxEntry(f"{ROLLOUT}#{number}", ROLLOUT, claim.fence, CleanWorkspace.__name__, action))
    encoded = encode_state(decision.state)
    laps.end("encode")
    store.commit(claim, state=encoded, facts=facts, todo=todo, wake_at=now + 0.5, ended=decision.ended, now=now)
    MEMORY.keep(ROLLOUT, encoded, decision.state)
    laps.end("commit")
    return encoded


def begin(store: Store, world: World) -> None:
    """Bring the rollout to where evidence is counted."""
    asked = Recorded(ROLLOUT, RolloutRequested(1, CANDIDATE, STABLE, SPECIFICATION, instant=False))
    done = [ActionDone("start-0", "StartInstances"), ActionDone("route-0", "ApplyRoute")]
    for number, fact in enumerate([asked, *(Recorded(ROLLOUT, outcome) for outcome in done)]):
        store.append([fact], time.time())
        stored = tick(store, world.next_reading(), -number - 1, Laps())
    assert decode_state(RolloutState, stored).phase == "observing"


@contextmanager
def raw_inserts(path: Path) -> Iterator[Callable[[str], object]]:
    """The least that a durable transaction can do."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, content TEXT)")
    yield lambda content: connection.execute("INSERT INTO rows (content) VALUES (?)", (content,))
    connection.close()


def measure(folder: Path, ticks: int) -> dict[str, float]:
    world, store, laps, heavier = World(), SqliteStore(folder / "store.db"), Laps(), Laps()
    raw_ms: list[float] = []
    begin(store, world)
    with raw_inserts(folder / "raw.db") as insert:
        for number in range(ticks):
            stored = tick(store, world.next_reading(), number, laps)
            tick(store, world.next_reading(), number, heavier, heavy=True)
            began = time.perf_counter()
            insert(stored)
            raw_ms.append((time.perf_counter() - began) * 1000.0)
            for entry in store.outbox(time.time(), OWNER):
                store.done(entry, [], time.time())
    store.close()
    tick_ms = laps.whole()
    return {
        "tick_p50_ms": statistics.median(tick_ms),
        "tick_p99_ms": percentile(tick_ms, 0.99),
        "ticks_per_s": 1000.0 / statistics.fmean(tick_ms),
        "heavier_tick_p50_ms": statistics.median(heavier.whole()),
        "raw_insert_p50_ms": statistics.median(raw_ms),
        "raw_insert_p99_ms": percentile(raw_ms, 0.99),
        "tick_over_raw_insert_p50": statistics.median(tick_ms) / statistics.median(raw_ms),
        **{f"{part}_p50_ms": statistics.median(ms) for part, ms in laps.ms.items()},
        "state_bytes": len(stored),
        "ticks": ticks,
    }


def at_scale(folder: Path, quick: bool) -> dict[str, float]:
    """Many applications, each measurement in a process of its own (their memory is told apart)."""
    idle = {apps: part(folder, "idle", apps, 4.0 if apps == 10_000 else 0.0) for apps in (100, 1_000, 10_000)}
    rolling = part(folder, "rollouts", 1_000, 5.0 if quick else 30.0)
    return {
        "idle_10k_apps_core_pct": idle[10_000]["core_pct"],
        "idle_10k_apps_mb": idle[10_000]["mb"],
        **{f"look_at_{apps}_apps_s": measured["once_s"] for apps, measured in idle.items()},
        "cost_exponent": _engine_scale.exponent({apps: measured["once_s"] for apps, measured in idle.items()}),
        "tick_lag_1k_rollouts_p50_s": rolling["p50_s"],
        "tick_lag_1k_rollouts_p99_s": rolling["p99_s"],
        "decisions_1k_rollouts_per_s": rolling["decisions_per_s"],
        "core_1k_rollouts_pct": rolling["core_pct"],
    }


def lasting(folder: Path, quick: bool) -> dict[str, float]:
    """A log of a million facts, and 1,000 rollouts whose controller was paused and woken; nothing when `quick`."""
    if quick:
        return {}
    (folder / "replicas").mkdir()
    log = _log.measure(folder / "log.db", 1_000_000)
    return {**log, **_engine_replicas.replicas(folder / "replicas", rounds=20)}


def part(folder: Path, what: str, size: int, seconds: float) -> dict[str, float]:
    """One measurement of `_engine_scale`."""
    words = [sys.executable, "-m", "benchmarks._engine_scale", what, str(folder / f"{what}-{size}")]
    answer = subprocess.run([*words, str(size), str(seconds)], stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description="What one tick costs, and very many applications")
    parser.add_argument("--quick", action="store_true", help="fewer ticks, shorter looks")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to measure (default: here)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="benchmark-") as folder:
        tick = measure(Path(folder), 600 if options.quick else 15_000)
        finish({**tick, **at_scale(Path(folder), options.quick), **lasting(Path(folder), options.quick)}, options.json)


if __name__ == "__main__":
    main()
