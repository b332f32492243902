"""A step's report in words: the same in pictures, in the history and in what a forge is told."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.core.model.report import CoverageReport, FindingsReport, LoadReport, StepReport, TestsReport, points
from trimtab.core.say import count, milliseconds


def said(report: StepReport | None) -> str:
    """``412 tests, 3 failed, 2 skipped; coverage 81.4 % (82.6 % before)``; empty when there is nothing to say."""
    return "; ".join(_parts(report)) if report is not None else ""


def named(report: StepReport | None) -> tuple[str, ...]:
    """A line for each failing test and each finding that is known by name, and one for the rest of them."""
    return tuple(_lines(report)) if report is not None else ()


def _parts(report: StepReport) -> Iterator[str]:
    if report.tests is not None:
        yield _tests(report.tests)
    if report.coverage is not None:
        yield _coverage(report.coverage)
    if report.findings is not None:
        yield _findings(report.findings)
    if report.components is not None:
        yield f"made of {count(report.components, 'component')}"
    if report.load is not None:
        yield _load(report.load)
    yield from (f"its {each.kind} report could not be read: {each.why}" for each in report.unread)


def _tests(tests: TestsReport) -> str:
    rest = [f"{number:,} {word}" for number, word in ((tests.failed, "failed"), (tests.skipped, "skipped")) if number]
    return ", ".join((count(tests.total, "test"), *(rest or ["all passed"] if tests.total else rest)))


def _coverage(coverage: CoverageReport) -> str:
    before = f" ({points(coverage.before_pct)} % before)" if coverage.before_pct is not None else ""
    return f"coverage {points(coverage.pct)} %{before}"


def _findings(findings: FindingsReport) -> str:
    kinds = ((findings.errors, "error"), (findings.warnings, "warning"), (findings.notes, "note"))
    return ", ".join(count(number, word) for number, word in kinds if number) or "nothing found"


def _load(load: LoadReport) -> str:
    latencies = ((load.p50_ms, "p50"), (load.p95_ms, "p95"), (load.p99_ms, "p99"))
    shown = ", ".join(f"{name} {milliseconds(value)}" for value, name in latencies)
    return f"{count(load.requests, 'request')} at {load.throughput_per_s:,.1f}/s, {load.errors:,} failed, {shown}"


def _lines(report: StepReport) -> Iterator[str]:
    if (tests := report.tests) is not None:
        yield from (f"{each.name}: {each.message}" if each.message else each.name for each in tests.failing)
        yield from _rest(tests.failed - len(tests.failing), "failing test")
    if (findings := report.findings) is not None:
        for finding in findings.first:
            yield ": ".join(part for part in (finding.place, finding.rule, finding.message) if part)
        yield from _rest(findings.total - len(findings.first), "finding")


def _rest(number: int, what: str) -> Iterator[str]:
    if number > 0:
        yield f"and {count(number, f'more {what}')}"
