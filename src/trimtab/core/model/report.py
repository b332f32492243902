"""What a step's tools have written of their work, as numbers and names: tests, coverage, findings, contents, load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

ReportKind = Literal["junit", "coverage", "sarif", "sbom", "load"]

MOST_NAMED = 20
"""Failing tests and findings that are kept by name; of the others only their number."""
MOST_REPORT_BYTES = 50 * 1000 * 1000
"""Of all files of one kind together."""


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """Files that a step writes, to be read when it has ended."""

    kind: ReportKind
    files: tuple[str, ...]
    """Files, or folders of such files. Together they are one report."""
    required: bool = False
    """Whether the step fails when they cannot be read."""
    min_pct: float | None = None
    """Of coverage: what it must be at least."""
    max_drop_pct: float | None = None
    """Of coverage: by how many percentage points it may be less than it was."""


@dataclass(frozen=True, slots=True)
class FailedTest:
    name: str
    message: str = ""
    """The first line of what the test said."""


@dataclass(frozen=True, slots=True)
class TestsReport:
    __test__ = False  # for pytest, which takes the name for its own

    passed: int
    failed: int
    """Failures and errors."""
    skipped: int
    duration_s: float
    failing: tuple[FailedTest, ...] = ()
    """The first of them, by name."""

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """Of lines."""

    lines: int
    covered: int
    before_pct: float | None = None
    """What it was when a change passed on the deployed branch the last time; None: nothing is known of that."""

    @property
    def pct(self) -> float:
        """Where there is no line to cover, none is missing."""
        return 100.0 * self.covered / self.lines if self.lines else 100.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a linter or a scanner found. `place`: ``file:line``, as far as it is known."""

    rule: str
    level: Literal["error", "warning", "note"]
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class FindingsReport:
    errors: int
    warnings: int
    notes: int
    first: tuple[Finding, ...] = ()
    """The gravest, errors first."""

    @property
    def total(self) -> int:
        return self.errors + self.warnings + self.notes


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How the service did under load; latencies count from the moment at which a request should have been sent."""

    requests: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    throughput_per_s: float


@dataclass(frozen=True, slots=True)
class UnreadReport:
    """A report that could not be read, and why."""

    kind: ReportKind
    why: str


@dataclass(frozen=True, slots=True)
class StepReport:
    """All that a step has reported. What it did not report is None."""

    tests: TestsReport | None = None
    coverage: CoverageReport | None = None
    findings: FindingsReport | None = None
    components: int | None = None
    """How many parts the software has that it is made of, by its bill of materials."""
    load: LoadReport | None = None
    unread: tuple[UnreadReport, ...] = ()


def compared(report: StepReport | None, before_pct: float | None) -> StepReport | None:
    """The report with its coverage beside what it was before."""
    if report is None or report.coverage is None:
        return report
    return replace(report, coverage=replace(report.coverage, before_pct=before_pct))


def objections(specs: Sequence[ReportSpec], report: StepReport | None) -> tuple[str, ...]:
    """Why a step that has passed by itself has not passed by what it reports, in words. Empty: it has."""
    found = report or StepReport()
    return tuple(said for spec in specs for said in _objections(spec, found))


def _objections(spec: ReportSpec, report: StepReport) -> Iterator[str]:
    unread = [each for each in report.unread if each.kind == spec.kind]
    if spec.required:
        yield from (f"its {spec.kind} report could not be read: {each.why}" for each in unread)
    coverage = report.coverage
    if spec.kind != "coverage" or coverage is None:
        return
    # Exactly at the limit is enough, whatever a division leaves behind.
    if spec.min_pct is not None and coverage.pct < spec.min_pct - 1e-9:
        yield f"{points(coverage.pct)} % of the lines are covered, and it must be {spec.min_pct:g} % at least"
    before_pct, most_pct = coverage.before_pct, spec.max_drop_pct
    if most_pct is not None and before_pct is not None and before_pct - coverage.pct > most_pct + 1e-9:
        fell = f"coverage fell by {points(before_pct - coverage.pct)} points from {points(before_pct)} %"
        yield f"{fell} to {points(coverage.pct)} %, and {most_pct:g} are allowed"


def points(pct: float) -> str:
    """``81.4``, ``80``: a percentage to the tenth."""
    return f"{pct:.1f}".removesuffix(".0")
