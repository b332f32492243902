"""What supervision costs: no-op steps from `Processes.start` to their recorded end.

- forked: as it is, by a nursery.
- started: an interpreter for each supervisor, as when there is no nursery.
- bare: the same command by `posix_spawn` and `waitpid`, without supervision: the floor.

Steps are run one after the other, ten of each contender in turn; `beside` runs eight at a time.

    python -m benchmarks.processes [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._report import Value, finish
from trimtab.adapters.processes import nursery
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.ports.processes import ProcessSpec

_NO_OP = ("/bin/true",)
_LIVE = ("starting", "running")
_BESIDE = 8
_ROUND = 10


class Steps:
    """Runs no-op steps and says how long each took, in milliseconds."""

    def __init__(self, home: Path) -> None:
        self.processes = SupervisedProcesses(home)
        self._heard: dict[str, asyncio.Event] = {}
        self._count = 0
        self.processes.on_change(lambda name: self._event(name).set())

    def _event(self, name: str) -> asyncio.Event:
        return self._heard.setdefault(name, asyncio.Event())

    async def run(self) -> float:
        self._count += 1
        name = f"step/{self._count}"
        began = time.perf_counter()
        status = await self.processes.start(ProcessSpec(name, _NO_OP, "/"))
        while status.phase in _LIVE:
            self._event(name).clear()
            seen = await self.processes.status(name)
            assert seen is not None
            status = seen
            if status.phase in _LIVE:
                await self._event(name).wait()
        assert status.exit_code == 0
        return (time.perf_counter() - began) * 1000

    async def beside(self, count: int) -> float:
        """The wall time for each of so many, several at a time."""
        turns = asyncio.Semaphore(_BESIDE)

        async def one() -> None:
            async with turns:
                await self.run()

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(count)))
        return (time.perf_counter() - began) * 1000 / count


@contextmanager
def without_nursery() -> Iterator[None]:
    """Within it, no nursery can be started."""
    program = nursery._PROGRAM
    nursery._PROGRAM, nursery._TRIES = "no.such.program", 0
    try:
        yield
    finally:
        nursery._PROGRAM, nursery._TRIES = program, 2


def bare() -> float:
    began = time.perf_counter()
    os.waitpid(os.posix_spawn(_NO_OP[0], _NO_OP, {}), 0)
    return (time.perf_counter() - began) * 1000


async def measure(count: int) -> dict[str, Value]:
    with tempfile.TemporaryDirectory() as folder:
        steps = Steps(Path(folder) / "home")
        for _ in range(5):
            await steps.run()
        forked, started, floor = [], [], []
        for _ in range(count // _ROUND):
            forked += [await steps.run() for _ in range(_ROUND)]
            with without_nursery():
                started += [await steps.run() for _ in range(_ROUND)]
            floor += [bare() for _ in range(_ROUND)]
        beside_ms = await steps.beside(count)
        await steps.processes.close()
    return {
        "steps": count,
        "forked_median_ms": statistics.median(forked),
        "forked_p90_ms": statistics.quantiles(forked, n=10)[-1],
        "started_median_ms": statistics.median(started),
        "bare_median_ms": statistics.median(floor),
        "started_over_forked": statistics.median(started) / statistics.median(forked),
        "forked_beside_ms": beside_ms,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--json", action="store_true", help="the results also as one JSON object on the last line")
    arguments = parser.parse_args()
    finish(asyncio.run(measure(20 if arguments.quick else 200)), arguments.json)


if __name__ == "__main__":
    main()
