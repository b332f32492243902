"""Programs on the PATH work in the sandbox, also those that a manager of versions chooses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.ports.workspaces import Isolation


def plain(folder: Path) -> Path:
    return program(folder / "bin" / "tool", "echo one-$0")


def managed(folder: Path) -> Path:
    """As pyenv, rbenv and nodenv do it."""
    program(folder / "versions" / "1" / "bin" / "tool", "echo one-$0")
    (folder / "version").write_text("1\n")
    return program(folder / "shims" / "tool", f"exec {folder}/versions/$(cat {folder}/version)/bin/tool")


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("installed", [plain, managed])
async def test_a_program_on_the_path(
    installed: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{installed(tmp_path / 'tools').parent}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", path)
    workspaces = SandboxedWorkspaces(tmp_path / "workspaces", (tmp_path / "home",))
    opened = await workspaces.open("step/shop/1/test/1", (), Isolation())
    ran = subprocess.run(
        [*opened.argv, "tool"], cwd=opened.cwd, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert ran.stdout.startswith("one-"), ran.stderr
    await workspaces.close("step/shop/1/test/1")


async def test_shims_are_made_anew_for_the_step_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pyenv does when pip has installed something."""
    tool = managed(tmp_path / "tools")
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    workspaces = SandboxedWorkspaces(tmp_path / "workspaces", (tmp_path / "home",))
    opened = await workspaces.open("step/shop/1/test/1", (), Isolation())
    script = f"cp {tool} {tool.parent}/other && {tool.parent}/other && ! touch {tmp_path}/tools/version"
    ran = subprocess.run([*opened.argv, "/bin/sh", "-c", script], cwd=opened.cwd, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("one-")
    assert [path.name for path in tool.parent.iterdir()] == ["tool"]
    await workspaces.close("step/shop/1/test/1")


async def test_shims_in_a_home_folder_do_not_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    tool = managed(kept)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    workspaces = SandboxedWorkspaces(tmp_path / "workspaces", (kept / "trimtab",))
    (kept / "trimtab").mkdir()
    opened = await workspaces.open("step/shop/1/test/1", (), Isolation())
    ran = subprocess.run([*opened.argv, "/bin/ls", str(kept)], cwd=opened.cwd, capture_output=True, text=True)
    assert "versions" not in ran.stdout
    await workspaces.close("step/shop/1/test/1")
