"""Many seeds on all cores, and what they reached."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from trimtab.testing.sim.world import Outcome, simulate

LAST_EVENTS = 20
CHUNK = 10


@dataclass(slots=True)
class Tally:
    """What came of the seeds so far."""

    seeds: int = 0
    simulated_s: float = 0.0
    took_s: float = 0.0
    coverage: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.simulated_s += outcome.simulated_s
        self.coverage.update(outcome.coverage)
        if outcome.broken:
            self.failed.append(outcome)

    @property
    def seeds_per_s(self) -> float:
        return self.seeds / self.took_s if self.took_s else 0.0


def run_many(
    begin: int, count: int, *, processes: int | None = None, progress: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """Run the seeds from `begin` on, on so many processes (all cores by default)."""
    tally, since = Tally(), time.perf_counter()
    for outcomes in _chunks(begin, count, processes or os.cpu_count() or 1):
        for outcome in outcomes:
            tally.add(outcome)
        tally.took_s = time.perf_counter() - since
        progress(tally)
    return tally


def _chunks(begin: int, count: int, processes: int) -> Iterator[list[Outcome]]:
    seeds = iter(range(begin, begin + count))
    chunks = [chunk for _ in range(0, count, CHUNK) if (chunk := list(islice(seeds, CHUNK)))]
    if processes == 1 or len(chunks) == 1:
        yield from map(_run, chunks)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_run, chunks)


def _run(seeds: list[int]) -> list[Outcome]:
    return [simulate(seed) for seed in seeds]


def explain(outcome: Outcome, lines: int | None = LAST_EVENTS) -> str:
    """What went wrong in words, the last events (None: all), and how to see it again."""
    events = outcome.lines if lines is None else outcome.lines[-lines:]
    said = [f"seed {outcome.seed} breaks {len(outcome.broken)} promise(s):", *outcome.broken]
    return "\n".join([*said, "", "the last events:", *events, "", f"again: make sim SEED={outcome.seed}"])


def table(tally: Tally) -> str:
    """How often each mishap and each outcome came."""
    rows = [f"  {name:<44} {number:>9,}" for name, number in sorted(tally.coverage.items())]
    hours = tally.simulated_s / 3600.0
    head = f"{tally.seeds:,} seeds, {tally.seeds_per_s:.1f} seeds/s, {hours:,.1f} simulated hours"
    return "\n".join([head, *rows])
