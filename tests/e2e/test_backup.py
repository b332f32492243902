"""A backup in the middle of a rollout, under load, put back elsewhere: nothing is lost, and it goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.world import LONG_CANARY, World, users, wait_for
from trimtab.views.model import RolloutView


def trimtab(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "trimtab.cli.main", *words], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_backup_in_the_middle_of_a_rollout_goes_on_elsewhere(world: World) -> None:
    pipeline = "pipeline: {build: mkdir -p out && date > out/built}"
    world.plant(pipeline=pipeline)
    world.up()
    first = world.ended(world.push(version=1)).release
    world.configure(strategy=LONG_CANARY, pipeline=pipeline)
    file = world.folder / "backup.tar.gz"
    with users(world.url) as answers:
        second = world.push(version=2)
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0, why="the canary gets traffic")
        trimtab("backup", str(file), "--home", str(world.home), cwd=world.folder)
        world.client.steer("shop", "production", "abort")  # after its moment: the backup knows nothing of it
        world.ended(second)
    assert not answers.bad, "nobody notices a backup"
    history = [entry.summary for entry in world.client.history("shop", limit=1000)]
    log = world.desired_log()
    world.down()

    elsewhere = World(world.folder / "elsewhere", port=world.port, api_port=world.api_port)
    elsewhere.folder.mkdir()
    shutil.copytree(world.repository, elsewhere.repository)
    try:
        trimtab("restore", str(file), "--home", str(elsewhere.home), cwd=elsewhere.repository)
        elsewhere.up()
        assert elsewhere.production.live == first
        with users(elsewhere.url) as answers:
            wait_for(lambda: answers.versions["version 1"] > 50, why="the live release serves")
            wait_for(lambda: answers.versions["version 2"] > 5, why="the canary has its share again")
        known = [entry.summary for entry in elsewhere.client.history("shop", limit=1000)]
        assert known[: len(known) // 2] == history[: len(known) // 2]
        assert elsewhere.desired_log() == log[:-1], "but for the abort's commit"
        elsewhere.client.steer("shop", "production", "promote")
        assert _ended(elsewhere, second).status == "promoted"
        third = elsewhere.push(version=3)
        elsewhere.observing(third)
    finally:
        elsewhere.down()


def _ended(world: World, commit: str) -> RolloutView:
    rollout = world.ended(commit)
    assert rollout.number == 2, "the same rollout, not another one"
    return rollout
