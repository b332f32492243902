"""What every Reports promises. Each check gets a fresh one and an empty folder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from trimtab.core.model.report import FailedTest, ReportSpec, TestsReport
from trimtab.ports.reports import Reports

JUNIT, SARIF, LOAD = (
    ReportSpec("junit", ("a.xml",)),
    ReportSpec("sarif", ("a.json",)),
    ReportSpec("load", ("a.json",)),
)

_TESTS = '<testsuite><testcase name="good"/><testcase name="bad"><failure message="no"/></testcase>{}</testsuite>'
_EXPECTED = TestsReport(1, 1, 0, 0.0, (FailedTest("bad", "no"),))


def write(folder: Path, spec: ReportSpec, text: str) -> ReportSpec:
    """Put the text where the report is looked for."""
    path = folder / spec.kind / spec.files[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return spec


async def check_each_kind_is_read(reports: Reports, folder: Path) -> None:
    specs = [write(folder, JUNIT, _TESTS.format("")), write(folder, SARIF, '{"runs": []}')]
    report = await reports.read(folder, specs)
    assert report.tests == _EXPECTED
    assert report.findings is not None
    assert report.findings.total == 0
    assert report.unread == ()


async def check_what_cannot_be_read_is_said_and_the_rest_is_there(reports: Reports, folder: Path) -> None:
    specs = [write(folder, LOAD, "never"), write(folder, JUNIT, _TESTS.format("")), write(folder, SARIF, "{}")]
    report = await reports.read(folder, specs)
    assert report.tests == _EXPECTED
    assert (report.load, report.findings) == (None, None)
    assert [each.kind for each in report.unread] == ["load", "sarif"]


async def check_a_large_one_is_read(reports: Reports, folder: Path) -> None:
    report = await reports.read(folder, [write(folder, JUNIT, _TESTS.format("<properties/>" * 50_000))])
    assert report.tests == _EXPECTED


async def check_a_large_one_that_cannot_be_read_is_said(reports: Reports, folder: Path) -> None:
    report = await reports.read(folder, [write(folder, SARIF, "[" * 500_000)])
    assert [each.kind for each in report.unread] == ["sarif"]


CHECKS: tuple[Callable[[Reports, Path], Awaitable[None]], ...] = (
    check_each_kind_is_read,
    check_what_cannot_be_read_is_said_and_the_rest_is_there,
    check_a_large_one_is_read,
    check_a_large_one_that_cannot_be_read_is_said,
)
