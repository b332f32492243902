"""From a file that a step wrote to what is shown of its run, and from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.world import CountingProcesses, World
from trimtab.core.model.facts import RunFinished
from trimtab.core.model.report import CoverageReport, FailedTest
from trimtab.ports.processes import ProcessSpec
from trimtab.testing.memory_processes import Ending
from trimtab.views.model import RunView, StepView

CONFIGURATION = """
app: shop
service: {{command: serve}}
pipeline:
  test:
    run: pytest
    outputs: [made]
    inputs: ["ver*"]
    reports: {reports}
    retry: {retry}
environments: {{production: {{strategy: instant}}}}
"""
RED = '<testsuite><testcase name="good"/><testcase name="bad"><failure message="no"/></testcase></testsuite>'


class Pipeline:
    """A world whose only step writes `files` and ends with `code`."""

    def __init__(self, folder: Path) -> None:
        self.files: Mapping[str, str] = {}
        self.code = 0
        self.world = World(folder)
        self.world.processes = CountingProcesses(self.world.clock, folder / "logs", self._end)
        self.world.processes.started = []

    def _end(self, spec: ProcessSpec) -> Ending:
        for name, content in {**self.files, "made": "whole"}.items():
            (Path(spec.cwd) / name).write_text(content)
        return Ending(0.3, self.code, "done\n")

    async def run(
        self,
        subject: str,
        reports: str,
        files: Mapping[str, str],
        code: int = 0,
        retry: int = 0,
        inputs: str = "[ver*]",
    ) -> RunView:
        """The next run, when it has ended."""
        self.files, self.code = files, code
        number = len(self.world.board.runs("shop")) + 1
        self.world.push(subject, CONFIGURATION.format(reports=reports, retry=retry))
        await self.world.until(lambda: self.ended(number) is not None)
        run = self.ended(number)
        assert run is not None
        return run

    def ended(self, number: int) -> RunView | None:
        run = self.world.board.run("shop", number)
        return run if run is not None and run.duration_s is not None else None


@pytest.fixture
async def tested(tmp_path: Path) -> Any:
    tested = Pipeline(tmp_path)
    tested.world.register()
    tested.world.start()
    yield tested
    await tested.world.stop()


def step_of(run: RunView) -> StepView:
    (step,) = run.steps
    return step


async def test_the_failing_tests_of_a_step_that_failed_are_shown_by_name(tested: Pipeline) -> None:
    run = await tested.run("red", "{junit: report.xml}", {"report.xml": RED}, code=1)
    step = step_of(run)
    assert (run.status, step.status) == ("failed", "failed")
    assert step.report is not None
    assert step.report.tests is not None
    assert step.report.tests.failing == (FailedTest("bad", "no"),)


async def test_a_step_is_tried_again_and_its_last_report_is_shown(tested: Pipeline) -> None:
    step = step_of(await tested.run("red", "{junit: report.xml}", {"report.xml": RED}, code=1, retry=1))
    assert (step.attempt, step.report is not None) == (2, True)


async def test_a_report_that_is_not_there_is_said_and_fails_only_where_it_must_be(tested: Pipeline) -> None:
    run = await tested.run("one", "{junit: report.xml}", {})
    assert (run.status, step_of(run).report) == ("passed", step_of(run).report)
    assert "not there" in str(step_of(run).report)
    run = await tested.run("two", "{junit: {file: report.xml, required: true}}", {})
    assert run.status == "failed"
    assert "its junit report could not be read: `report.xml` is not there" in step_of(run).detail


async def test_a_cached_step_shows_the_report_of_the_run_that_it_was_taken_from(tested: Pipeline) -> None:
    green = {"report.xml": RED.replace("failure", "system-out")}
    first = await tested.run("same", "{junit: report.xml}", green)
    second = await tested.run("same", "{junit: report.xml}", {})
    assert step_of(second).status == "cached"
    assert step_of(second).report == step_of(first).report
    third = await tested.run("same", "{junit: other.xml}", {"other.xml": RED})
    assert step_of(third).status == "passed", "another report is another step"


def lcov(covered: int, of: int = 10) -> Mapping[str, str]:
    lines = "".join(f"DA:{line},{int(line <= covered)}\n" for line in range(1, of + 1))
    return {"c.info": f"SF:a.py\n{lines}end_of_record\n"}


def coverage(step: StepView) -> CoverageReport:
    assert step.report is not None
    assert step.report.coverage is not None
    return step.report.coverage


async def test_coverage_is_compared_with_the_last_change_that_passed(tested: Pipeline) -> None:
    held = "{coverage: {file: c.info, max_drop: 5%}}"
    assert coverage(step_of(await tested.run("one", held, lcov(8)))) == CoverageReport(10, 8)
    second = await tested.run("two", held, lcov(9))
    assert coverage(step_of(second)) == CoverageReport(10, 9, 80.0)
    third = await tested.run("three", held, lcov(8))
    assert third.status == "failed"
    assert step_of(third).detail == "coverage fell by 10 points from 90 % to 80 %, and 5 are allowed"
    fourth = await tested.run("four", held, lcov(9))
    assert coverage(step_of(fourth)).before_pct == 90.0, "what failed is no measure"


async def test_what_failed_by_its_report_is_not_in_the_cache_and_what_is_there_is_judged_anew(tested: Pipeline) -> None:
    low = await tested.run("one", "{coverage: {file: c.info, min: 90%}}", lcov(8))
    assert low.status == "failed"
    again = await tested.run("one", "{coverage: {file: c.info, min: 80%}}", lcov(8))
    assert step_of(again).status == "passed", "it ran: the first one was not kept"
    taken = await tested.run("one", "{coverage: {file: c.info, min: 70%}}", {})
    assert step_of(taken).status == "cached"
    stricter = await tested.run("one", "{coverage: {file: c.info, min: 85%}}", lcov(8))
    assert stricter.status == "failed"


async def test_a_controller_that_dies_anywhere_keeps_the_report_and_the_number(tmp_path: Path) -> None:
    for at in range(3, 12):
        tested = Pipeline(tmp_path / str(at))
        (tmp_path / str(at)).mkdir()
        tested.world.register()
        tested.world.start(crash_at=at)
        run = await tested.run("one", "{coverage: c.info}", lcov(8))
        assert coverage(step_of(run)) == CoverageReport(10, 8)
        assert tested.world.processes.started == ["step/shop/1/test/1"], "it ran once"
        finished = [r.fact for r in tested.world.facts() if isinstance(r.fact, RunFinished)]
        assert {tuple(each.coverage_pct.items()) for each in finished} == {(("test", 80.0),)}
        await tested.world.stop()
