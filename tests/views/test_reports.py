"""Reports on the board, and in words."""

from __future__ import annotations

import pytest

from trimtab.core.model import facts as f
from trimtab.core.model.report import (
    CoverageReport,
    FailedTest,
    Finding,
    FindingsReport,
    LoadReport,
    StepReport,
    TestsReport,
    UnreadReport,
)
from trimtab.core.model.specification import ServiceSpec, Specification, StepSpec
from trimtab.views.board import Board
from trimtab.views.reports import named, said

CHANGE = f.Change("c" * 40, "main", "ann", "Say more", 1.0)
RED = StepReport(tests=TestsReport(1, 1, 0, 0.5, (FailedTest("test_a", "no"),)))


def test_a_step_shows_the_report_of_its_last_attempt() -> None:
    board, seq = Board(), 0

    def see(*facts: f.Fact) -> StepReport | None:
        nonlocal seq
        for fact in facts:
            seq += 1
            board.apply([f.Recorded("run/shop/1", fact, seq=seq, at=float(seq))])
        run = board.run("shop", 1)
        assert run is not None
        return run.steps[0].report if run.steps else None

    see(f.RunRequested(1, CHANGE))
    see(f.SpecificationRead(Specification("shop", ServiceSpec("serve"), (), (StepSpec("test", "pytest"),))))
    see(f.StepStarted("test", 1, "step/shop/1/test/1"))
    assert see(f.StepKept("test", 1, None, RED)) == RED
    assert see(f.StepFinished("test", 1, "failed", 1, 1.0, "exit code 1")) == RED
    assert see(f.StepStarted("test", 2, "step/shop/1/test/2")) is None
    assert see(f.StepKept("test", 2, None)) is None


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (StepReport(tests=TestsReport(3, 0, 0, 1.0)), "3 tests, all passed"),
        (StepReport(tests=TestsReport(1200, 2, 1, 1.0)), "1,203 tests, 2 failed, 1 skipped"),
        (StepReport(tests=TestsReport(0, 0, 0, 0.0)), "0 tests"),
        (StepReport(coverage=CoverageReport(3, 2)), "coverage 66.7 %"),
        (StepReport(coverage=CoverageReport(10, 8, 81.25)), "coverage 80 % (81.2 % before)"),
        (StepReport(findings=FindingsReport(1, 0, 2)), "1 error, 2 notes"),
        (StepReport(findings=FindingsReport(0, 0, 0)), "nothing found"),
        (StepReport(components=1), "made of 1 component"),
        (
            StepReport(load=LoadReport(600, 3, 4.2, 80.0, 1500.0, 29.95)),
            "600 requests at 29.9/s, 3 failed, p50 4.2 ms, p95 80 ms, p99 1.5 s",
        ),
        (
            StepReport(tests=TestsReport(1, 0, 0, 1.0), unread=(UnreadReport("sarif", "it is no JSON"),)),
            "1 test, all passed; its sarif report could not be read: it is no JSON",
        ),
        (None, ""),
    ],
)
def test_a_report_in_words(report: StepReport | None, words: str) -> None:
    assert said(report) == words


def test_what_is_named_and_how_many_more_there_are() -> None:
    findings = FindingsReport(3, 0, 0, (Finding("F401", "error", "a.py:1", "unused"), Finding("x", "error", "", "bad")))
    tests = TestsReport(0, 3, 0, 1.0, (FailedTest("test_a", "no"), FailedTest("test_b")))
    assert named(StepReport(tests=tests, findings=findings)) == (
        "test_a: no",
        "test_b",
        "and 1 more failing test",
        "a.py:1: F401: unused",
        "x: bad",
        "and 1 more finding",
    )
    assert named(None) == ()
