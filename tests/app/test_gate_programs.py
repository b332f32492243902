"""Gates run as steps do: in the sandbox, by the templates that come with Trimtab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.app.gate_programs import gate_programs
from trimtab.config import load
from trimtab.core.model.pipeline import StepSpec
from trimtab.engine.steps import shell
from trimtab.ports.workspaces import Isolation

SERVER = """
import http.server, os
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
FILES = {"serve.py": SERVER, "shop.py": "x = 1\n", "test_shop.py": "import shop\n\ndef test_x(): assert shop.x == 1\n"}
FILES |= {"requirements.txt": "attrs==23.1.0\n"}
STEPS: Mapping[str, Mapping[str, object]] = {
    "unit-tests": {"with": {"source": ["shop"]}},
    "lint": {"with": {"paths": ["shop.py"]}},
    "secret-scan": {},
    "sbom": {"with": {"requirements": "requirements.txt"}},
    "licences": {"with": {"python": sys.executable, "denied": ["AGPL-1.0-only"]}},
    "smoke": {"with": {"requests": ["/serve.py", {"path": "/none", "status": 404}]}},
    "load-test": {"with": {"rate": 50, "duration": "2s", "p95": "20s"}},
    "dependency-audit": {"with": {"service": "http://127.0.0.1:1/"}, "sandbox": {"network": False}},
}
CODES = {"licences": (0, 1), "dependency-audit": (75,)}


def step_of(gate: str) -> StepSpec:
    document = {
        "app": "shop",
        "service": {"command": f"{sys.executable} serve.py", "health": "/shop.py"},
        "pipeline": {"step": {"uses": f"trimtab/{gate}", **STEPS[gate]}},
    }
    return load(json.dumps(document)).steps[0]


@pytest.mark.parametrize("gate", STEPS)
async def test_each_gate_runs_in_the_sandbox_and_reports(gate: str, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / "layer").mkdir(exist_ok=True)
        (tmp_path / "layer" / name).write_text(content)
    workspaces, programs, step = SandboxedWorkspaces(tmp_path / "w", hidden=()), gate_programs(), step_of(gate)
    if workspaces.problem() is not None:
        pytest.skip(f"no sandbox here: {workspaces.problem()}")
    isolation = Isolation(step.sandbox.on, step.sandbox.network, (*step.sandbox.read, *programs.read))
    opened = await workspaces.open("step/shop/1/step/1", [tmp_path / "layer"], isolation)
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **programs.env, **step.env}
    ran = subprocess.run([*opened.argv, *shell(step)], cwd=opened.cwd, env=env, capture_output=True, text=True)
    assert ran.returncode in CODES.get(gate, (0,)), ran.stdout + ran.stderr
    if gate != "dependency-audit":
        files = [file for report in step.reports for file in report.files]
        await workspaces.collect("step/shop/1/step/1", (*files, *step.outputs), tmp_path / "out")


def test_another_version_of_a_tool_is_another_step() -> None:
    programs = gate_programs()
    assert "trimtab=" in programs.version
    assert "detect-secrets=" in programs.version
    assert "=none" not in programs.version
