"""pytest and ruff on a small project, and what they do not get away with."""

from __future__ import annotations

import os
import sys

import pytest

from tests.gates.asking import Answer, Project
from trimtab.core.model.report import FailedTest, ReportSpec, StepReport
from trimtab.reports import read

GREEN = "from shop import total\n\ndef test_total(): assert total([1, 2]) == 3\n"
RED = GREEN + "\ndef test_empty(): assert total([]) == 1, 'not empty'\n"
SHOP = "def total(prices):\n    return sum(prices)\n\ndef unused():\n    return 1\n"


def run_tests(project: Project, tests: str, *words: str) -> tuple[Answer, StepReport]:
    project.write({"shop.py": SHOP, "test_shop.py": tests})
    answer = project.ask("unit-tests", "--python", sys.executable, "--junit", "junit/r.xml", *words)
    (project.folder / "coverage").mkdir(exist_ok=True)
    there = [spec for spec in (JUNIT, COVERAGE) if (project.folder / spec.kind / spec.files[0]).exists()]
    return answer, read(project.folder, there)


JUNIT, COVERAGE = ReportSpec("junit", ("r.xml",)), ReportSpec("coverage", ("c.xml",))
MEASURED = ("--coverage", "coverage/c.xml", "--source", "shop")


def test_tests_that_pass_with_coverage(project: Project) -> None:
    (project.folder / "coverage").mkdir()
    answer, report = run_tests(project, GREEN, *MEASURED)
    assert (answer.code, answer.said["said"]) == (0, "all tests pass")
    assert report.tests is not None
    assert report.tests.passed == 1
    assert report.coverage is not None
    assert (report.coverage.lines, report.coverage.covered) == (4, 3)


def test_tests_that_fail_are_in_the_report(project: Project) -> None:
    (project.folder / "coverage").mkdir()
    answer, report = run_tests(project, RED, *MEASURED)
    assert answer.code == 1
    assert report.tests is not None
    assert report.tests.failing == (FailedTest("test_shop.test_empty", "AssertionError: not empty"),)
    assert report.coverage is not None


@pytest.mark.parametrize(
    ("tests", "words", "code"),
    [
        ("", (), "gate-undecided"),
        (GREEN, ("--", "--no-such-option"), "gate-undecided"),
        (GREEN, ("--python", "python-that-is-not-there"), "gate-input"),
    ],
)
def test_what_does_not_count_as_passed(tests: str, words: tuple[str, ...], code: str, project: Project) -> None:
    answer, _ = run_tests(project, tests, *words)
    assert (answer.code, answer.problems) == (2, [code])


def test_an_interpreter_without_pytest_says_so(project: Project) -> None:
    project.write({"bare": f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n'})
    (project.folder / "bare").chmod(0o755)
    answer = project.ask("unit-tests", "--python", "./bare")
    assert (answer.code, answer.problems) == (2, ["gate-tool-missing"])


def test_lint_names_mistakes_by_place_and_rule(project: Project) -> None:
    project.write({"a.py": "import os\n\n\ndef f( ):\n    return undefined\n"})
    answer = project.ask("lint", "--format", "--sarif", "lint.sarif")
    assert answer.code == 1
    assert answer.found == [("F401", "a.py:1"), ("F821", "a.py:5"), ("format", "a.py")]
    assert project.write({"a.py": "x = 1\n"}).ask("lint", "--format").code == 0


def test_lint_without_a_look_does_not_pass(project: Project) -> None:
    answer = project.write({"ruff.toml": "nonsense = 1\n", "a.py": ""}).ask("lint")
    assert (answer.code, answer.problems) == (2, ["gate-input"])
    assert project.write({"ruff.toml": "", "b.py": "def\n"}).ask("lint").found[0] == ("invalid-syntax", "b.py:1")


def test_the_projects_own_ruff_is_asked(project: Project) -> None:
    project.write({"bin/ruff": "#!/bin/sh\necho '[]'\n"})
    (project.folder / "bin/ruff").chmod(0o755)
    project.env["PATH"] = f"{project.folder}/bin:{os.environ['PATH']}"
    assert project.write({"a.py": "import os\n"}).ask("lint").code == 0
