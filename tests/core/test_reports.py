"""What a report says against a step that has passed by itself."""

from __future__ import annotations

import pytest

from trimtab.core.model.report import CoverageReport, ReportSpec, StepReport, UnreadReport, compared, objections

UNREAD = StepReport(unread=(UnreadReport("junit", "it is not there"),))


def covered(covered: int, before_pct: float | None = None, lines: int = 1000) -> StepReport:
    return StepReport(coverage=CoverageReport(lines, covered, before_pct))


def spec(min_pct: float | None = None, max_drop_pct: float | None = None) -> tuple[ReportSpec, ...]:
    return (ReportSpec("coverage", ("c.xml",), True, min_pct, max_drop_pct),)


@pytest.mark.parametrize(
    ("specs", "report", "said"),
    [
        (spec(80.0), covered(800), ()),
        (spec(80.0), covered(799), ("79.9 % of the lines are covered, and it must be 80 % at least",)),
        (spec(80.0), covered(0, lines=0), ()),
        (spec(None, 1.0), covered(790, 80.0), ()),
        (spec(None, 1.0), covered(785, 80.0), ("coverage fell by 1.5 points from 80 % to 78.5 %, and 1 are allowed",)),
        (spec(None, 1.0), covered(1), ()),
        (spec(None, 1.0), covered(900, 80.0), ()),
        (spec(), covered(0, 100.0), ()),
    ],
)
def test_coverage(specs: tuple[ReportSpec, ...], report: StepReport, said: tuple[str, ...]) -> None:
    assert objections(specs, report) == said


def test_a_report_that_must_be_there() -> None:
    assert objections((ReportSpec("junit", ("r.xml",), required=True),), UNREAD) == (
        "its junit report could not be read: it is not there",
    )
    assert objections((ReportSpec("junit", ("r.xml",)),), UNREAD) == ()
    assert objections((), None) == ()


def test_comparing_touches_nothing_else() -> None:
    assert compared(covered(5), 80.0) == covered(5, 80.0)
    assert compared(UNREAD, 80.0) == UNREAD
    assert compared(None, 80.0) is None
