"""Standard gates and templates in a whole installation: pushed, run in the sandbox, and shown with what they found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.world import World
from trimtab.adapters.sandbox import SandboxedWorkspaces

PIPELINE = f"""
pipeline:
  test: {{uses: .trimtab/steps/test.yaml, with: {{what: [app.py, behaviour.json]}}}}
  secrets: {{uses: trimtab/secret-scan}}
  smoke:
    uses: trimtab/smoke
    with: {{requests: [/healthz, {{path: /, contains: version}}]}}
  tests:
    uses: trimtab/unit-tests
    with: {{python: {sys.executable}, coverage: "", arguments: [-p, no:cacheprovider]}}
"""
TEMPLATE = """
parameters: {what: {required: true}}
step: {run: "ls ${{ what }}"}
"""
KEY = "AKIA" + "Q3EGZXMPLW7RJ2NV"


@pytest.fixture
def sandboxed(tmp_path: Path) -> None:
    problem = SandboxedWorkspaces(tmp_path / "w", hidden=()).problem()
    if problem is not None:
        pytest.skip(f"no sandbox here: {problem}")


@pytest.mark.usefixtures("sandboxed")
def test_what_gates_find_stops_a_change_and_is_shown_by_name(world: World) -> None:
    world.plant(strategy="instant", pipeline=PIPELINE)
    (world.repository / ".trimtab" / "steps").mkdir(parents=True)
    (world.repository / ".trimtab" / "steps" / "test.yaml").write_text(TEMPLATE)
    (world.repository / "test_app.py").write_text("def test_one(): pass\n")
    world.up()
    passed = world.finished(world.push(version=1))
    assert passed.status == "passed", passed
    reports = {step.name: step.report for step in passed.steps}
    smoke = reports["smoke"]
    assert smoke is not None
    assert smoke.tests is not None
    assert smoke.tests.passed == 2

    (world.repository / "settings.py").write_text(f'key = "{KEY}"\n')
    (world.repository / "test_app.py").write_text("def test_one(): assert 1 == 2, 'not the same'\n")
    failed = world.finished(world.push(version=2))
    assert failed.status == "failed"
    steps = {step.name: step for step in failed.steps}
    secrets, tests = steps["secrets"].report, steps["tests"].report
    assert secrets is not None
    assert secrets.findings is not None
    assert [finding.place for finding in secrets.findings.first] == ["settings.py:1"]
    assert KEY not in str(failed)
    assert tests is not None
    assert tests.tests is not None
    assert [(each.name, each.message) for each in tests.tests.failing] == [
        ("test_app.test_one", "AssertionError: not the same")
    ]
