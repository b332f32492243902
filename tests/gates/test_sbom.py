"""Bills of materials: valid, complete, and the same for the same parts."""

from __future__ import annotations

import json
import sys

import pytest

from tests.gates.asking import Project


def test_the_same_requirements_give_the_same_bytes(project: Project) -> None:
    project.write({"requirements.txt": "requests==2.19.0\nattrs==23.1.0\n"})
    for name in ("one.json", "two.json"):
        answer = project.ask("sbom", "--requirements", "requirements.txt", "--output", name)
        assert (answer.code, answer.said["components"]) == (0, 2)
    one, two = (project.folder / name for name in ("one.json", "two.json"))
    assert one.read_bytes() == two.read_bytes()
    bill = json.loads(one.read_text())
    assert "serialNumber" not in bill
    assert "timestamp" not in bill["metadata"]
    assert [each["purl"] for each in bill["components"]] == ["pkg:pypi/attrs@23.1.0", "pkg:pypi/requests@2.19.0"]


def test_what_is_installed_is_in_it(project: Project) -> None:
    assert project.ask("sbom", "--python", sys.executable).code == 0
    bill = json.loads((project.folder / "sbom.json").read_text())
    assert "pytest" in {each["name"] for each in bill["components"]}


@pytest.mark.parametrize(
    ("requirements", "code"), [("", "gate-undecided"), ("# nothing\n", "gate-undecided"), (None, "gate-input")]
)
def test_an_empty_bill_does_not_pass(requirements: str | None, code: str, project: Project) -> None:
    if requirements is not None:
        project.write({"requirements.txt": requirements})
    answer = project.ask("sbom", "--requirements", "requirements.txt")
    assert (answer.code, answer.problems) == (2, [code])
    assert not (project.folder / "sbom.json").exists()
