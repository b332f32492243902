"""JUnit XML as pytest, Maven Surefire, jest-junit and gotestsum write it: what counts are its test cases, since what
suites say of their number differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.core.model.report import MOST_NAMED, FailedTest, TestsReport
from trimtab.reports.unreadable import Unreadable, first_line, shortened
from trimtab.reports.xml import parse

_ROOTS = ("testsuites", "testsuite")
_SAYS_NOTHING = ("", "failed", "failure", "error", "test failed")
_MOST_TEXT = 20_000
_LONGEST_S = 10.0**9


@dataclass
class _Cases:
    """Counts test cases. A case has failed if it has a `failure` or an `error`; `rerunFailure` and `flakyFailure`
    (Surefire) tell of further attempts only."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    duration_s: float = 0.0
    failing: list[FailedTest] = field(default_factory=list)
    root: str = ""
    _case: Mapping[str, str] | None = None
    _outcome: str = "passed"
    _message: str = ""
    _text: list[str] = field(default_factory=list)
    _listens: bool = False

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self.root:
            self.root = name
            if name not in _ROOTS:
                raise Unreadable(f"it is no JUnit XML: its root is `{shortened(name)}`")
        if name == "testcase":
            self._case, self._outcome, self._message = attributes, "passed", ""
        elif self._case is None:
            return
        elif name in ("failure", "error"):
            self._listens = self._outcome != "failed"
            if self._listens:
                self._outcome, self._text = "failed", []
                self._message = attributes.get("message") or attributes.get("type") or ""
        elif name == "skipped" and self._outcome == "passed":
            self._outcome = "skipped"

    def text(self, text: str) -> None:
        if self._listens and sum(map(len, self._text)) < _MOST_TEXT:
            self._text.append(text[:_MOST_TEXT])

    def end(self, name: str) -> None:
        if name in ("failure", "error"):
            self._listens = False
        elif name == "testcase" and self._case is not None:
            self._count(self._case)
            self._case = None

    def _count(self, case: Mapping[str, str]) -> None:
        self.duration_s += _seconds(case.get("time", ""))
        if self._outcome == "failed":
            self.failed += 1
            if len(self.failing) < MOST_NAMED:
                self.failing.append(FailedTest(_name(case), _said(self._message, "".join(self._text))))
        elif self._outcome == "skipped":
            self.skipped += 1
        else:
            self.passed += 1


def read_junit(files: Sequence[Path]) -> TestsReport:
    """All test cases of the files. Raises `Unreadable`, OSError."""
    cases = _Cases()
    for file in files:
        cases.root = ""
        parse(file, cases)
    return TestsReport(cases.passed, cases.failed, cases.skipped, round(cases.duration_s, 3), tuple(cases.failing))


def _name(case: Mapping[str, str]) -> str:
    """``tests.test_cart.TestCart.test_total``; a sentence (jest) keeps its group apart: ``cart > adds up``."""
    group, name = case.get("classname", "").strip(), case.get("name", "").strip()
    if not group or name.startswith(group):
        return shortened(name or "(without a name)")
    return shortened(f"{group} > {name}" if " " in group + name else f"{group}.{name}")


def _said(message: str, text: str) -> str:
    """The first line that tells something: gotestsum's message is always ``Failed``, and jest-junit has none."""
    line = first_line(message)
    if line.lower() not in _SAYS_NOTHING:
        return line
    telling = "\n".join(each for each in text.splitlines() if not each.strip().startswith(("=== ", "--- ")))
    return first_line(telling) or line


def _seconds(text: str) -> float:
    """Surefire writes thousands with commas; what is no time counts for nothing."""
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if 0.0 <= seconds <= _LONGEST_S else 0.0
