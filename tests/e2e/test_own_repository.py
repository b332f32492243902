"""This repository, built, tested and released by Trimtab with its own `trimtab.yaml`: as a forge's application with a
pull request, and by `trimtab run`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import tidied
from tests.e2e.forged import Forged
from tests.e2e.world import wait_for
from trimtab.testing.forge_double import ForgeDouble
from trimtab.views.model import RunView

HERE = Path(__file__).parents[2]
QUICK = ("format", "lint", "architecture")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forged]:
    # As in a shell in which the virtual environment is active.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with tidied(Forged) as world:
        yield world


def clone(into: Path) -> None:
    """What is in this folder now, as a commit of another repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HERE,
        capture_output=True,
        check=True,
    )
    files = [name for name in listed.stdout.decode().split("\0") if name and (HERE / name).exists()]
    into.mkdir()
    for name in files:
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((HERE / name).read_bytes())
        target.chmod((HERE / name).stat().st_mode)


def statuses(run: RunView) -> dict[str, str]:
    return {step.name: step.status for step in run.steps}


def test_its_quick_checks_pass_on_a_working_tree(world: Forged) -> None:
    clone(world.repository)
    world.git("init", "--quiet", "--initial-branch=main")
    done = subprocess.run(
        [sys.executable, "-m", "trimtab.cli.main", "run", *QUICK, "--json"],
        cwd=world.repository,
        env={**os.environ, "XDG_CACHE_HOME": str(world.folder / "cache")},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)["run"]
    assert {step["name"]: step["status"] for step in said["steps"] if step["name"] in QUICK} == dict.fromkeys(
        QUICK, "passed"
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_is_built_tested_and_released_with_a_pull_request(world: Forged) -> None:
    clone(world.repository)
    world.git("init", "--quiet", "--initial-branch=main")
    settings = world.repository / "trimtab.yaml"
    text = settings.read_text().replace("app: trimtab", "app: shop").replace("port: 8080", f"port: {world.port}")
    settings.write_text(re.sub("strategy: .*", "strategy: instant", text))
    world.up()
    with ForgeDouble("github") as forge:
        world.connect(forge)
        first = world.git("rev-parse", "HEAD")
        world.say(world.messenger.push("main", first, world.delivery()))
        run = wait_for(lambda: finished(world, first), within_s=900, why="the first run finishes")
        assert set(statuses(run).values()) == {"passed"}, statuses(run)
        wait_for(lambda: world.told(first) == "success", why="the forge is told")
        wait_for(lambda: reads(world) == 200, why="the release answers")
        live = world.client.environment("shop", "production").live

        proposed = world.propose(7, "opened", version=2)
        run = wait_for(lambda: finished(world, proposed), within_s=120, why="the pull request's run finishes")
        assert (run.status, set(statuses(run).values())) == ("passed", {"cached"}), "its change concerns no step"
        wait_for(lambda: world.told(proposed) == "success", why="the forge is told")
        wait_for(lambda: "wheel" in world.comment(7), why="the pull request is told")
        assert world.client.environment("shop", "production").live == live

        merged = world.merge(7)
        run = wait_for(lambda: finished(world, merged), within_s=120, why="the merge is run")
        assert (run.status, run.release) == ("passed", live), "the same files are the same release"


def finished(world: Forged, commit: str) -> RunView | None:
    run = world.run(commit)
    return run if run is not None and run.status != "running" else None


def reads(world: Forged) -> int:
    try:
        return httpx.get(f"{world.url}/docs/tutorial.md").status_code
    except httpx.HTTPError:
        return 0
