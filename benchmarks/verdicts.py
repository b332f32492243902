"""Verdicts compared: our rule and models of those of Argo Rollouts, Flagger, Kayenta and PipeCD.

The stable release fails on 1 % of 100 requests/s. Goals: false rollbacks in at most 1 % of the rollouts, whatever
happens to both arms; detection in at most 1.5 times the least possible number of requests (2 to 10 times worse);
promotion of equal arms at a margin of 1.5 within 10, 6 and 2.5 minutes (median) at 5/95, 10/90 and 50/50, with at most
5 % at the margin itself; no promotion without data; a worse candidate is never judged better.

The rule is the running system's (`trimtab.simulate.watch`); the rivals are in `benchmarks/rivals`. docs/verdicts.md
shows what came out, and is written by this:

    python -m benchmarks.verdicts [--quick] [--json] [--picture FILE] [--docs FILE] [--cells FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import _verdict_picture
from benchmarks._report import Value, finish
from benchmarks._verdict_runs import COARSER, COARSER_PROMOTION, EVERY_TICK, Ended, Pace, ours, rivals
from benchmarks._verdict_tables import OURS, WATCHED, Cells, Summary, figures, promotion, summary, tables
from benchmarks._verdict_worlds import BOUNDARY, NULLS, PLAIN, SEVERITY, SPLITS, WORSE, World
from benchmarks.rivals.settings import RIVALS

WITHOUT_DATA = (World("nothing for the candidate", 0.0, minutes=10.0), World("nothing at all", rate=0.0, minutes=10.0))
BY_REQUESTS = "Trimtab, users counted as requests"
SLOW_TRAFFIC = Pace((float("inf"),), (6.0,))
"""20 requests have come by then in the world of SEVERITY: fewer are no tick."""
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"

Job = tuple[str, str, Callable[[], Ended | dict[str, Ended]]]
"""The rule, the world, and what runs them; of several rules the results have the names."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rollouts there are in a cell of our rule: `healthy` ones, those `worse` by ratio, those that may be
    `promoted`, those of `severity`; and of each rival."""

    healthy: int = 10_000
    promoted: int = 10_000
    severity: int = 10_000
    rival: int = 10_000
    pace: Pace = EVERY_TICK
    promotion_pace: Pace = EVERY_TICK
    worse: Mapping[float, int] = field(default_factory=lambda: {1.5: 10_000, 2.0: 40_000, 3.0: 40_000})
    much_worse: int = 100_000
    little_worse_pace: Pace = EVERY_TICK


FULL = Size()
QUICK = Size(
    promoted=2_000,
    severity=500,
    rival=80,
    pace=COARSER,
    promotion_pace=COARSER_PROMOTION,
    worse={1.5: 300, 2.0: 4_000, 3.0: 5_000},
    much_worse=30_000,
    little_worse_pace=COARSER_PROMOTION,
)


def jobs(size: Size) -> Iterator[Job]:
    """Every cell, the longest first."""
    for seed, world in enumerate(reversed(NULLS)):
        yield OURS, world.name, partial(ours, world, size.healthy, seed, size.pace)
    for seed, world in enumerate((*PLAIN, *BOUNDARY, *WITHOUT_DATA), 100):
        run = partial(ours, world, size.promoted, seed, size.promotion_pace, promotes=True)
        yield promotion(OURS), world.name, run
    watched = [world for world in WORSE if world.share == SPLITS[WATCHED]]
    for seed, world in enumerate((*reversed(NULLS), *watched, *SEVERITY), 500):
        yield "", world.name, partial(rivals, RIVALS, world, size.rival, seed)
    for seed, world in enumerate(WORSE, 200):
        pace = EVERY_TICK if world.ratio >= 2 else size.little_worse_pace
        yield OURS, world.name, partial(ours, world, size.worse.get(world.ratio, size.much_worse), seed, pace)
    for seed, world in enumerate(SEVERITY, 300):
        yield OURS, world.name, partial(ours, world, size.severity, seed, SLOW_TRAFFIC)
    clustered = next(world for world in NULLS if world.requests_each)
    yield BY_REQUESTS, clustered.name, partial(ours, clustered, size.severity, 400, size.pace, by_user=False)


def measure(size: Size, workers: int) -> Cells:
    """Everything, in so many processes."""
    with ProcessPoolExecutor(workers) as pool:
        asked = [(rule, world, pool.submit(_summaries, rule, run)) for rule, world, run in jobs(size)]
        return {(rule, world): cell for _, world, future in asked for rule, cell in future.result().items()}


def _summaries(rule: str, run: Callable[[], Ended | dict[str, Ended]]) -> dict[str, Summary]:
    ended = run()
    found = {rule: ended} if isinstance(ended, Ended) else ended
    return {name: summary(each) for name, each in found.items()}


def results(cells: Cells) -> dict[str, Value]:
    """All figures, flat."""
    found = figures(cells)
    without = [cells[promotion(OURS), world.name] for world in WITHOUT_DATA]
    found["promotions_without_data"] = round(sum(cell.promoted_pct * cell.runs for cell in without) / 100.0)
    clustered = next(cell for (rule, _), cell in cells.items() if rule == BY_REQUESTS)
    found["clustered_users_counted_by_requests_false_rollback_pct"] = clustered.rolled_back_pct
    return found


def kept(file: Path) -> Cells:
    """What was measured before."""
    return {(row.pop("rule"), row.pop("world")): Summary(**row) for row in json.loads(file.read_text())}


def keep(cells: Cells, file: Path) -> None:
    rows = [{"rule": rule, "world": world, **asdict(cell)} for (rule, world), cell in cells.items()]
    file.write_text(json.dumps(rows, indent=1))


def write_docs(page: Path, text: str) -> None:
    """Put the tables where the page says."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text.strip()}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rollouts, and looks that are further apart")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture", type=Path, help="draw it: .svg or .png")
    parser.add_argument("--docs", type=Path, help="write the tables into this page")
    parser.add_argument("--cells", type=Path, help="keep what was measured there, or take it from there")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    began = time.perf_counter()
    again = options.cells and options.cells.exists()
    cells = kept(options.cells) if again else measure(QUICK if options.quick else FULL, options.workers)
    if options.cells and not again:
        keep(cells, options.cells)
    text = tables(cells)
    print(text)
    if options.docs:
        write_docs(options.docs, text)
    if options.picture:
        _verdict_picture.draw(cells, options.picture)
    finish({**results(cells), "took_s": time.perf_counter() - began}, options.json)


if __name__ == "__main__":
    main()
