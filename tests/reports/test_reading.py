"""Reports as real tools write them, and as somebody would who means harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.core.model.report import (
    CoverageReport,
    FailedTest,
    Finding,
    LoadReport,
    ReportKind,
    ReportSpec,
    StepReport,
    TestsReport,
)
from trimtab.reports import read, reading
from trimtab.reports.unreadable import MOST_LETTERS

FILES = Path(__file__).parent / "files"


def report_of(folder: Path, kind: ReportKind, *contents: str | bytes) -> StepReport:
    """The report of a step that wrote files with these contents."""
    names = [f"{number}.txt" for number in range(len(contents))]
    (folder / kind).mkdir(exist_ok=True)
    for name, content in zip(names, contents, strict=True):
        (folder / kind / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(folder, [ReportSpec(kind, tuple(names))])


def why_unread(folder: Path, kind: ReportKind, content: str | bytes) -> str:
    report = report_of(folder, kind, content)
    assert report == StepReport(unread=report.unread), "nothing is told of what could be read of it"
    return report.unread[0].why


def example(name: str) -> bytes:
    return (FILES / name).read_bytes()


# --- tests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "pytest.xml",
            TestsReport(
                *(1, 2, 1, 0.001),
                (
                    FailedTest("test_cart.TestCart.test_total", "AssertionError: the total is wrong"),
                    FailedTest("test_cart.test_stored", 'failed on setup with "RuntimeError: no database"'),
                ),
            ),
        ),
        (
            "surefire.xml",
            TestsReport(
                *(2, 2, 1, 1200.5),
                (
                    FailedTest("com.example.CartTest.isEmptyAtFirst", "expected: <0> but was: <1>"),
                    FailedTest("com.example.CartTest.pays", "java.lang.IllegalStateException"),
                ),
            ),
        ),
        (
            "jest.xml",
            TestsReport(
                *(1, 1, 1, 0.011),
                (
                    FailedTest(
                        "cart > is empty at first",
                        "Error: expect(received).toBe(expected) // Object.is equality",
                    ),
                ),
            ),
        ),
        (
            "gotestsum.xml",
            TestsReport(
                *(1, 1, 1, 0.01),
                (FailedTest("example.com/shop/cart.TestEmpty/at_first", "cart_test.go:12: there are 1 things in it"),),
            ),
        ),
    ],
)
def test_tests_as_their_runners_write_them(name: str, expected: TestsReport, tmp_path: Path) -> None:
    assert report_of(tmp_path, "junit", example(name)) == StepReport(tests=expected)


def test_a_case_counts_once_whatever_is_in_it(tmp_path: Path) -> None:
    inside = ('<failure message="a"/><skipped/>', '<skipped/><error message="b"/>', '<failure message="c"/><error/>')
    cases = "".join(f'<testcase name="t">{each}</testcase>' for each in inside)
    tests = report_of(tmp_path, "junit", f"<testsuite><failure/>{cases}</testsuite>").tests
    assert tests is not None
    assert (tests.total, tests.failed, [each.message for each in tests.failing]) == (3, 3, ["a", "b", "c"])


def test_several_files_and_folders_are_one_report(tmp_path: Path) -> None:
    (tmp_path / "junit" / "all" / "in").mkdir(parents=True)
    for place, name in (("all", "pytest.xml"), ("all/in", "jest.xml"), ("", "gotestsum.xml")):
        (tmp_path / "junit" / place / name).write_bytes(example(name))
    (tmp_path / "junit" / "all" / "notes.txt").write_text("not a report")
    tests = read(tmp_path, [ReportSpec("junit", ("all", "gotestsum.xml"))]).tests
    assert tests is not None
    assert (tests.passed, tests.failed, tests.skipped) == (3, 4, 3)


def test_of_many_failing_tests_twenty_are_named(tmp_path: Path) -> None:
    cases = "".join(f'<testcase name="t{n}"><failure message="{"long " * 400}"/></testcase>' for n in range(1000))
    tests = report_of(tmp_path, "junit", f"<testsuite>{cases}</testsuite>").tests
    assert tests is not None
    assert (tests.failed, len(tests.failing)) == (1000, 20)
    assert {len(failed.message) for failed in tests.failing} == {MOST_LETTERS}


# --- coverage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "covered", "lines"), [("cobertura.xml", 7, 9), ("coverage.json", 9, 9), ("lcov.info", 9, 9)]
)
def test_coverage_as_its_tools_write_it(name: str, covered: int, lines: int, tmp_path: Path) -> None:
    assert report_of(tmp_path, "coverage", example(name)).coverage == CoverageReport(lines, covered)


def test_a_line_that_one_of_several_covers_is_covered(tmp_path: Path) -> None:
    one, other = "SF:a\nDA:1,1\nDA:2,0\nend_of_record\n", "TN:\nSF:a\nDA:1,0\nDA:2,3\nDA:3,0\nend_of_record\n"
    assert report_of(tmp_path, "coverage", one, other).coverage == CoverageReport(3, 2)


def test_coverage_that_knows_no_lines_is_told_by_its_totals(tmp_path: Path) -> None:
    xml = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">'
    xml += '<coverage lines-valid="200" lines-covered="150"/>'
    totals = json.dumps({"totals": {"num_statements": 100, "covered_lines": 30}})
    assert report_of(tmp_path, "coverage", xml, totals).coverage == CoverageReport(300, 180)


# --- findings, contents, load ----------------------------------------------------------------------------------------


def result(rule: str, **more: Any) -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": "a.py"}, "region": {"startLine": 3}}}
    return {"ruleId": rule, "message": {"text": f"{rule} is bad\nand more"}, "locations": [place], **more}


def test_findings_the_gravest_first(tmp_path: Path) -> None:
    rules = [{"id": "grave", "defaultConfiguration": {"level": "error"}}]
    results = [
        result("plain"),
        result("grave"),
        result("said", level="note"),
        result("silent", level="none"),
        result("allowed", suppressions=[{"kind": "inSource"}]),
        {"message": {}},
    ]
    text = json.dumps({"runs": [{"tool": {"driver": {"rules": rules}}, "results": results}, {}]})
    findings = report_of(tmp_path, "sarif", text).findings
    assert findings is not None
    assert (findings.errors, findings.warnings, findings.notes) == (1, 2, 1)
    assert findings.first[0] == Finding("grave", "error", "a.py:3", "grave is bad")


def test_contents_and_load(tmp_path: Path) -> None:
    bill = json.dumps({"bomFormat": "CycloneDX", "components": [{}, {}]})
    assert report_of(tmp_path, "sbom", bill).components == 2
    load = {"schema": "trimtab.load/v1", "requests": 5, "errors": 1, "throughput_per_s": 2.5}
    load |= {"p50_ms": 1, "p95_ms": 2.0, "p99_ms": 3.0}
    assert report_of(tmp_path, "load", json.dumps(load)).load == LoadReport(5, 1, 1.0, 2.0, 3.0, 2.5)


# --- what cannot be read ---------------------------------------------------------------------------------------------

LAUGHS = """<?xml version="1.0"?><!DOCTYPE testsuite [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
FOREIGN = (
    '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="x">&x;</testcase></testsuite>'
)
PARAMETER = '<!DOCTYPE t [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><testsuite/>'
HOSTILE_XML: dict[str, tuple[str | bytes, str]] = {
    "entities": (LAUGHS, "declares an entity"),
    "a file of the machine": (FOREIGN, "declares an entity"),
    "an address": (PARAMETER, "declares an entity"),
    "nested deep": ("<testsuite>" * 100_000, "nested more than 100 deep"),
    "cut off": (example("pytest.xml")[:500], "line 4, column"),
    "empty": ("", "no element found"),
    "not its encoding": ('<?xml version="1.0" encoding="utf-8"?><testsuite name="é"/>'.encode("latin-1"), "line 1"),
    "an encoding that nobody knows": ('<?xml version="1.0" encoding="klingon"?><testsuite/>', "unknown encoding"),
    "an encoding of many bytes": ('<?xml version="1.0" encoding="shift_jis"?><testsuite/>', "encoding"),
    "something else": ("<html/>", "its root is `html`"),
    "no XML": ("ok 1 - fine", "it is no XML"),
}


@pytest.mark.parametrize(("content", "why"), HOSTILE_XML.values(), ids=HOSTILE_XML)
def test_xml_that_cannot_be_read_is_said(content: str | bytes, why: str, tmp_path: Path) -> None:
    assert why in why_unread(tmp_path, "junit", content)


def test_other_encodings_are_read(tmp_path: Path) -> None:
    text = '<testsuite><testcase name="größe"><failure message="zu groß"/></testcase></testsuite>'
    for encoding in ("utf-8", "utf-16", "iso-8859-1", "windows-1252"):
        declared = f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)
        tests = report_of(tmp_path, "junit", declared).tests
        assert tests is not None
        assert tests.failing == (FailedTest("größe", "zu groß"),)


HOSTILE: dict[str, tuple[ReportKind, str | bytes, str]] = {
    "JSON nested deep": ("sarif", "[" * 200_000, "nested too deep"),
    "a list": ("sarif", "[]", "must be a JSON object"),
    "no SARIF": ("sarif", "{}", "no `runs`"),
    "runs that are none": ("sarif", '{"runs": [7]}', "must be a JSON object"),
    "cut off": ("sbom", '{"bomFormat": ', "line 1, column"),
    "another bill": ("sbom", '{"spdxVersion": "2.3"}', "no CycloneDX"),
    "a number that is none": ("load", '{"schema": "trimtab.load/v1", "requests": NaN}', "must be a number"),
    "a number too long": ("coverage", '{"totals": {"num_statements": ' + "9" * 5000 + "}}", "numbers too long"),
    "more than all": ("coverage", '<coverage lines-valid="1" lines-covered="2"/>', "cannot be covered"),
    "no number": ("coverage", '<coverage><class filename="a"><line number="x" hits="1"/></class></coverage>', "whole"),
    "odd lcov": ("coverage", "SF:a\nDA:one,1\n", "line 2"),
    "a binary": ("coverage", b"\x7fELF", "neither Cobertura"),
}


@pytest.mark.parametrize(("kind", "content", "why"), HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_read_is_said(kind: ReportKind, content: str | bytes, why: str, tmp_path: Path) -> None:
    assert why in why_unread(tmp_path, kind, content)


def test_what_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_REPORT_BYTES", 10)
    assert "at most 0 MB are read" in why_unread(tmp_path, "junit", "<testsuite/>")


def test_a_link_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "junit").mkdir()
    (tmp_path / "junit" / "report.xml").symlink_to("/etc/passwd")
    report = read(tmp_path, [ReportSpec("junit", ("report.xml",))])
    assert report.tests is None
    assert "no file but a link" in report.unread[0].why


def test_a_folder_without_reports_is_said(tmp_path: Path) -> None:
    (tmp_path / "junit" / "empty").mkdir(parents=True)
    assert "no file in `empty`" in read(tmp_path, [ReportSpec("junit", ("empty",))]).unread[0].why


KINDS: tuple[ReportKind, ...] = ("junit", "coverage", "sarif", "sbom", "load")
PIECES = [
    *example("pytest.xml").split(b" "),
    *example("lcov.info").splitlines(True),
    b'{"runs": [',
    b"]}",
    b'"results": [{',
]


@settings(deadline=None, max_examples=200)
@given(kind=st.sampled_from(KINDS), content=st.binary() | st.lists(st.sampled_from(PIECES)).map(b" ".join))
def test_whatever_is_written_is_read_or_said(
    kind: ReportKind, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    report = report_of(tmp_path_factory.mktemp("step"), kind, content)
    assert report != StepReport()
