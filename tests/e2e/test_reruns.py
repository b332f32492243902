"""`trimtab rerun` at a real controller: what passed is not run again, what failed is, and nothing old is deployed."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.world import World, wait_for
from trimtab.views.model import RunView


def rerun(world: World, *words: str) -> str:
    command = [sys.executable, "-m", "trimtab.cli.main", "rerun", *words, "--home", str(world.home), "--app", "shop"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def ended(world: World, number: int) -> RunView:
    def look() -> RunView | None:
        runs = {run.number: run for run in world.client.runs("shop")}
        return runs[number] if number in runs and runs[number].status != "running" else None

    return wait_for(look, why=f"run {number} ends")


def statuses(run: RunView) -> dict[str, str]:
    return {step.name: step.status for step in run.steps}


def test_only_what_failed_runs_again_and_then_it_is_deployed(world: World) -> None:
    count, mended = world.folder / "count", world.folder / "mended"
    world.plant(
        strategy="instant",
        pipeline=f"""pipeline:
  lint: {{run: "echo lint >> {count}", sandbox: none}}
  test: {{run: "test -e {mended}", sandbox: none, needs: [lint]}}
  pack: {{run: "echo pack >> {count}", sandbox: none, needs: [test]}}""",
    )
    world.up()
    first = world.push(version="one")
    assert statuses(world.finished(first)) == {"lint": "passed", "test": "failed", "pack": "skipped"}
    mended.touch()
    assert "run 1 runs once more: what passed is taken over" in rerun(world)
    again = ended(world, 2)
    assert statuses(again) == {"lint": "cached", "test": "passed", "pack": "passed"}
    assert (again.status, again.again_of) == ("passed", 1)
    assert count.read_text().split() == ["lint", "pack"]
    world.live(again.release)

    rerun(world, "2", "--step", "test")
    assert statuses(ended(world, 3)) == {"lint": "cached", "test": "passed", "pack": "passed"}
    assert count.read_text().split() == ["lint", "pack", "pack"]

    second = world.push(version="two")
    newest = world.finished(second).release
    world.live(newest)
    assert "nothing is released" in rerun(world, "1")
    older = ended(world, 5)
    assert (older.status, older.release) == ("passed", None)
    assert world.production.desired == newest
    rerun(world, "1", "--deploy")
    assert ended(world, 6).release == again.release
    world.live(again.release)
