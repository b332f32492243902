"""A controller that dies at any of its writes, just before it or just after, loses no run and runs no finished step
again: with outputs, a matrix, a concurrency group, retries, lost processes, known steps and known documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engine.test_for_each import build
from tests.engine.world import World
from trimtab.core.model import facts as f
from trimtab.core.model.identity import run_object
from trimtab.ports.processes import ProcessSpec
from trimtab.testing.memory_processes import Ending

WIDE = """
app: shop
parallel: 3
service: {command: serve}
environments: {production: {strategy: instant}}
pipeline:
  build: {run: make, outputs: version.txt, inputs: [version.txt, src/]}
  lint: ruff check
  test: {run: pytest, needs: build, matrix: {DATABASE: [sqlite, postgres]}}
  migrate: {run: migrate, needs: lint, concurrency: database, cache: false}
  seed: {run: seed, needs: lint, concurrency: {group: database, pending: latest}, cache: false}
  evals: {run: evals, needs: [test, migrate, seed], outputs: [version.txt], cache: false}
"""
FLAKY = """
app: shop
service: {command: serve}
environments: {production: {strategy: instant}}
pipeline:
  flaky: {run: flaky, retry: {times: 1, delay: 2s, exit_codes: [75]}}
  lost: {run: lost, cache: false}
  after: {run: after, needs: [flaky, lost], outputs: version.txt}
"""
FAILING = """
app: shop
service: {command: serve}
environments: {production: {strategy: instant}}
pipeline:
  build: {run: make, outputs: version.txt}
  fails: {run: fails, needs: build}
  never: {run: never, needs: fails}
"""


DOCUMENTS = """
app: shop
parallel: 2
service: {command: serve}
release: {parts: {index: [index]}}
environments: {production: {strategy: instant}}
pipeline:
  embed: {run: embed, for_each: {documents: "*.txt"}, inputs: [embed.py], outputs: index/, retry: 1}
  count: {run: count, needs: embed, cache: false}
"""


@dataclass(frozen=True)
class Case:
    """A pipeline. `attempts`: of every step in the first run, how often it may be started. `again`: what is started
    when the same commit comes again."""

    configuration: str
    outcome: str
    attempts: dict[str, int]
    again: frozenset[str] = field(default_factory=frozenset)


CASES = {
    "wide": Case(
        WIDE,
        "passed",
        {"build": 1, "lint": 1, "test@sqlite": 1, "test@postgres": 1, "migrate": 1, "seed": 1, "evals": 1},
        frozenset({"migrate", "seed", "evals"}),
    ),
    "flaky": Case(FLAKY, "passed", {"flaky": 2, "lost": 2, "after": 1}, frozenset({"lost"})),
    "documents": Case(DOCUMENTS, "passed", {"embed": 2, "count": 1}, frozenset({"count"})),
    "failing": Case(FAILING, "failed", {"build": 1, "fails": 1}, frozenset({"fails"})),
}


def ends(spec: ProcessSpec) -> Ending:
    step, attempt = spec.name.split("/")[3:5]
    code = {"fails": 1, "flaky": 75 if attempt == "1" else 0, "embed": 2 - int(attempt)}.get(step, 0)
    if step == "embed" and code == 0:
        build(Path(spec.cwd))
    return Ending(0.3, code, "said\n")


class Story:
    """One commit, and then the same files once more; the controller dies once on the way."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.world, self.case = World(folder), case
        self.world.processes._behaviour = ends

    async def go(self, crash_at: int | None = None, *, after: bool = False) -> None:
        world = self.world
        world.register()
        world.start(crash_at, after=after)
        for number in (1, 2):
            world.push("the same", self.case.configuration)
            await world.until(self._finished(number))

    def _finished(self, number: int) -> Callable[[], bool]:
        def look() -> bool:
            self._lose()
            run = self.world.board.run("shop", number)
            return run is not None and run.duration_s is not None

        return look

    def _lose(self) -> None:
        """The machine under the first attempt of `lost` breaks down."""
        for name in self.world.processes.started:
            if "/lost/1" in name and self.world.processes._processes[name].status.phase == "running":
                self.world.processes.lose(name)

    def examine(self) -> None:
        world = self.world
        assert len(set(world.processes.started)) == len(world.processes.started), "a step was started twice"
        first, second = (
            [name.split("/")[3] for name in world.processes.started if name.startswith(f"step/shop/{number}/")]
            for number in (1, 2)
        )
        assert {step: first.count(step) for step in first} == self.case.attempts
        assert set(second) == self.case.again
        for number in (1, 2):
            run = world.board.run("shop", number)
            assert run is not None
            assert run.status == self.case.outcome, run.reason
            finished = [r for r in world.facts() if r.object == run_object("shop", number) and r.kind == "RunFinished"]
            assert len(finished) == 1
        given = [r for r in world.facts() if isinstance(r.fact, f.TurnGiven)]
        returned = [r for r in world.facts() if isinstance(r.fact, f.TurnReturned)]
        assert len(given) == len(returned)


async def writes_of(folder: Path, case: Case) -> range:
    whole = Story(folder, case)
    await whole.go()
    whole.examine()
    assert whole.world.crashing is not None
    writes = whole.world.crashing.writes
    await whole.world.stop()
    return range(1, writes + 1)


@pytest.mark.parametrize("name", CASES)
async def test_a_crash_at_every_write_loses_no_run_and_repeats_no_step(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    writes = await writes_of(tmp_path / "whole", case)
    print(f"{name}: {2 * len(writes)} deaths")
    for crash_at in writes:
        for after in (False, True):
            story = Story(tmp_path / f"{crash_at}-{after}", case)
            try:
                await story.go(crash_at, after=after)
                story.examine()
            except AssertionError as error:
                moment = "after" if after else "before"
                raise AssertionError(f"crash {moment} write {crash_at} of {writes[-1]}") from error
            finally:
                await story.world.stop()
