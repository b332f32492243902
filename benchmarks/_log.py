"""The event log when it is long: appending to it, folding it, opening the board by a snapshot, and forgetting routine.

python -m benchmarks._log [--quick] [--json] [--folder FOLDER] [--url postgresql://...]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from benchmarks._report import finish
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.store_sql.opening import open_store
from trimtab.api.live_board import NAME, LiveBoard, pack, restore
from trimtab.core.model.facts import Recorded
from trimtab.engine.pruning import Pruner
from trimtab.ports.store import Store
from trimtab.testing.made_up_log import MadeUpLog

FACTS, QUICK_FACTS = 1_000_000, 200_000
LONG_AGO = 1_000_000.0
APPS = 20
SINCE_SNAPSHOT = 10_000
"""How many facts came after the snapshot, in the middle between two."""


def measure(place: Path | str, facts: int = FACTS) -> dict[str, float]:
    """Fill an empty store and measure; seconds, and how much faster the board opens by a snapshot than by the log."""
    store = open_store(place)
    append_s = fill(store, facts)
    began = time.perf_counter()
    board = LiveBoard(store).now()
    replay_s = time.perf_counter() - began
    body = keep_older_snapshot(store, board.seq - SINCE_SNAPSHOT)
    store.close()
    store = open_store(place)
    began = time.perf_counter()
    opened = LiveBoard(store).now()
    open_s = time.perf_counter() - began
    assert opened.parts() == board.parts()
    gone, prune_s, longest_s = prune(store)
    assert LiveBoard(store).now().parts() == board.parts()
    store.close()
    return {
        "log_facts": opened.seq,
        "log_append_per_s": facts / append_s,
        "log_replay_s": replay_s,
        "log_open_s": open_s,
        "log_replay_over_open": replay_s / open_s,
        "log_snapshot_mb": len(body) / 1e6,
        "log_pruned": gone,
        "log_prune_per_s": gone / prune_s,
        "log_prune_longest_turn_ms": longest_s * 1000.0,
    }


def fill(store: Store, facts: int) -> float:
    """Deliveries as an engine stores them: each object's facts by its own decisions, up to 20 at once. In seconds."""
    began = time.perf_counter()
    recorded = 0
    for delivery in MadeUpLog(1, apps=APPS, ticks=40).deliveries():
        for of, told in groupby(delivery, key=lambda fact: fact.object):
            claim = store.claim(of, "benchmark", LONG_AGO, 1e9)
            assert claim is not None
            for some in _chunks(list(told), 20):
                store.commit(claim, state="{}", facts=some, todo=(), wake_at=None, ended=True, now=LONG_AGO)
                recorded += len(some)
        if recorded >= facts:
            return time.perf_counter() - began
    raise AssertionError("deliveries never end")


def keep_older_snapshot(store: Store, seq: int) -> str:
    """A snapshot as it was at an earlier fact; its text."""
    board = restore(store)
    while board.seq < seq:
        board.apply(store.facts(after=board.seq, limit=min(2000, seq - board.seq)))
    body = pack(board.parts())
    store.keep_snapshot(NAME, board.seq, body)
    return body


def prune(store: Store) -> tuple[int, float, float]:
    """All that may go: how many facts, in how many seconds, and for how long others waited at most."""
    clock = _Stopwatch()
    pruner = Pruner(store, clock)
    gone, began = 0, time.perf_counter()
    while some := asyncio.run(pruner.go()):
        gone += some
    return gone, time.perf_counter() - began, clock.longest_s


class _Stopwatch(SystemClock):
    """Knows the longest time between two turns of others."""

    def __init__(self) -> None:
        self.longest_s, self._last = 0.0, time.perf_counter()

    async def sleep(self, seconds: float) -> None:
        self.longest_s = max(self.longest_s, time.perf_counter() - self._last)
        await super().sleep(seconds)
        self._last = time.perf_counter()


def _chunks(facts: list[Recorded], size: int) -> Iterator[list[Recorded]]:
    for first in range(0, len(facts), size):
        yield facts[first : first + size]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_FACTS:,} facts instead of {FACTS:,}")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--url", help="a fresh database or schema of PostgreSQL instead of a file")
    arguments = parser.parse_args()
    facts = QUICK_FACTS if arguments.quick else FACTS
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        finish(measure(arguments.url or Path(folder) / "store.db", facts), as_json=arguments.json)


if __name__ == "__main__":
    main()
