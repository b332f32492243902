"""What holds for every gate."""

from __future__ import annotations

import pytest

from tests.gates.asking import Project
from trimtab.core.model.report import Finding, ReportSpec
from trimtab.gates.__main__ import GATES
from trimtab.gates.running import sarif
from trimtab.reports import read


@pytest.mark.parametrize("gate", GATES)
def test_each_gate_tells_how_it_is_asked(gate: str, project: Project) -> None:
    answer = project.ask(gate, "--help", as_json=False)
    assert answer.code == 0
    assert f"trimtab.gates {gate}" in answer.out
    assert "75 try again later" in " ".join(answer.out.split())
    assert project.ask(gate, "--nonsense").code == 2


def test_a_gate_that_there_is_not(project: Project) -> None:
    answer = project.ask("secret-scann")
    assert answer.code == 2
    assert "secret-scan " in answer.err


def test_what_lies_in_the_folder_is_no_part_of_a_gate(project: Project) -> None:
    """Else whoever may push could make a gate pass."""
    evil = "raise SystemExit(0)\n"
    names = ("trimtab/__init__.py", "json.py", "detect_secrets/__init__.py", "argparse.py", "sitecustomize.py")
    project.write({**dict.fromkeys(names, evil), "config.py": 'password = "hunter2hunter2"\n'})
    project.env["PYTHONPATH"] = str(project.folder)
    assert project.ask("secret-scan").code == 1


def test_findings_as_sarif_are_read_as_a_report(project: Project) -> None:
    findings = (
        Finding("a", "error", "x.py:3", "bad"),
        Finding("b", "note", "y", "odd"),
        Finding("c", "warning", "", ""),
    )
    project.write({"sarif/f.sarif": sarif("some gate", findings)})
    report = read(project.folder, [ReportSpec("sarif", ("f.sarif",))])
    assert report.findings is not None
    assert set(report.findings.first) == set(findings)
