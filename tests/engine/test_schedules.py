"""Schedules through the whole engine: runs at their times, once each, whenever the controller dies or sleeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.world import PRODUCTION, World
from trimtab.core.model import facts as f
from trimtab.testing.memory_processes import Ending
from trimtab.views.model import RunView

CONFIGURATION = """
app: shop
service: {command: serve}
environments: {production: {strategy: instant}}
pipeline:
  build: {run: make, outputs: version.txt}
  test: {run: pytest, needs: build}
  evals: {run: evals, needs: build, cache: false, if: {schedule: true}}
  deep: {run: deep, cache: false, if: {schedule: false}}
schedules:
  nightly: {cron: "*/10 * * * *", steps: evals}
"""
WEEKLY = CONFIGURATION.replace("steps: evals", "deploy: true")


class Scheduled(World):
    """A world whose first push was at a full minute."""

    async def begin(self, crash_at: int | None = None, *, after: bool = False, configuration: str = "") -> None:
        self.register()
        self.start(crash_at, after=after)
        self.push("first", configuration or CONFIGURATION)
        await self.until(lambda: self.ended(1))

    def scheduled(self) -> list[RunView]:
        """Oldest first."""
        return [run for run in reversed(self.board.runs("shop")) if run.schedule]

    def passed(self, number: int) -> bool:
        runs = self.scheduled()
        return len(runs) >= number and runs[number - 1].status == "passed"

    def started(self, run: int) -> list[str]:
        return [name.split("/")[3] for name in self.processes.started if name.startswith(f"step/shop/{run}/")]


@pytest.fixture
def world(tmp_path: Path) -> Scheduled:
    return Scheduled(tmp_path)


async def test_a_schedule_runs_its_steps_and_what_they_need_and_deploys_nothing(world: Scheduled) -> None:
    await world.begin()
    await world.until(lambda: world.passed(1), within_s=700.0)
    (run,) = world.scheduled()
    assert run.reason == "all steps passed; nothing was to be released"
    assert (run.release, run.until) == (None, "steps")
    assert 0.0 <= run.started_at % 600.0 < 15.0
    assert world.started(1) == ["build", "deep", "test"]  # evals is for schedules only
    assert world.started(2) == ["evals"]  # what it needs is known
    details = {step.name: step.detail for step in run.steps}
    assert details["test"] == "not asked for"
    evals = world.processes._processes["step/shop/2/evals/1"].spec
    assert evals.env["TRIMTAB_SCHEDULE"] == "nightly"
    assert "TRIMTAB_SCHEDULE" not in world.processes._processes["step/shop/1/deep/1"].spec.env
    app = world.board.app("shop")
    assert app is not None
    assert app.run is not None
    assert app.run.number == 1
    (schedule,) = app.schedules
    assert schedule.run == run
    assert schedule.next_at % 600.0 == 0.0
    assert world.commits() == ["Promote"]
    await world.stop()


async def test_times_that_nobody_looked_at_are_made_up_for_once(world: Scheduled) -> None:
    await world.begin()
    await world.stop()
    await world.clock.run_for(3600.0)
    world.start()
    await world.until(lambda: world.passed(1))
    for _ in range(40):
        await world.frame()
    assert len(world.scheduled()) == 1
    await world.until(lambda: world.passed(2), within_s=700.0)
    await world.stop()


async def test_one_whose_run_is_still_on_skips_its_turn_and_says_so(world: Scheduled) -> None:
    world.processes._behaviour = lambda spec: Ending(700.0 if "/evals/" in spec.name else 0.3, 0, "")
    await world.begin(configuration=CONFIGURATION.replace("cache: false", "cache: false, timeout: 1h"))
    await world.until(lambda: any(fact.kind == "ScheduleSkipped" for fact in world.facts()), within_s=1300.0)
    app = world.board.app("shop")
    assert app is not None
    assert app.schedules[0].skipped == "run 2 of schedule nightly is still on"
    await world.until(lambda: len(world.scheduled()) == 2, within_s=1500.0)
    assert world.board.app("shop").schedules[0].skipped == ""  # type: ignore[union-attr]
    await world.stop()


async def test_one_that_deploys_brings_what_its_steps_have_made(world: Scheduled) -> None:
    """The same commit, and another result: a release of its own, by the environment's strategy."""
    await world.begin(configuration=WEEKLY)
    first = world.board.environment(PRODUCTION)
    assert first is not None
    await world.until(lambda: world.passed(1), within_s=700.0)
    (run,) = world.scheduled()
    assert run.until == "deploy"
    assert run.release == first.live  # nothing else came of it this time
    offered = [recorded.fact for recorded in world.facts() if isinstance(recorded.fact, f.ReleaseOffered)]
    assert [fact.run for fact in offered] == [1, 2]
    await world.stop()


async def test_a_crash_at_every_write_begins_each_run_once(tmp_path: Path) -> None:
    async def play(world: Scheduled, crash_at: int | None = None, *, after: bool = False) -> int:
        await world.begin(crash_at, after=after)
        before = world.crashing.writes if world.crashing else 0
        await world.until(lambda: world.passed(1), within_s=700.0)
        return before

    whole = Scheduled(tmp_path / "whole")
    first = await play(whole) + 1
    assert whole.crashing is not None
    writes = whole.crashing.writes
    await whole.stop()
    print(f"{2 * (writes + 1 - first)} deaths")
    for crash_at in range(first, writes + 1):
        for after in (False, True):
            world = Scheduled(tmp_path / f"{crash_at}-{after}")
            await play(world, crash_at, after=after)
            assert [run.number for run in world.scheduled()] == [2], crash_at
            assert world.started(2) == ["evals"]
            assert len(set(world.processes.started)) == len(world.processes.started)
            await world.stop()
