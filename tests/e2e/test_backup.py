"""A backup in the middle of a rollout, under load, put back elsewhere: nothing is lost, and it goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.world import LONG_CANARY, World, users, wait_for
from trimtab.app.backup import backup, contents
from trimtab.app.backup.archive import Writer

PIPELINE = "pipeline: {build: {run: mkdir -p out && date > out/built, outputs: out/}}"


def trimtab(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "trimtab.cli.main", *words], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def restored(world: World, file: Path, name: str) -> Iterator[World]:
    """What the file holds, in another folder, and up."""
    elsewhere = World(world.folder / name, port=world.port, api_port=world.api_port)
    elsewhere.folder.mkdir()
    shutil.copytree(world.repository, elsewhere.repository)
    try:
        trimtab("restore", str(file), "--home", str(elsewhere.home), cwd=elsewhere.repository)
        elsewhere.up()
        yield elsewhere
    finally:
        elsewhere.down()


def canary_under_way(world: World) -> tuple[str, str, str]:
    """The stable release, and the candidate with its commit."""
    world.plant(pipeline=PIPELINE)
    world.up()
    first = world.ended(world.push(version=1)).release
    world.configure(strategy=LONG_CANARY, pipeline=PIPELINE)
    commit = world.push(version=2)
    return first, world.observing(commit).release, commit


def test_a_backup_in_the_middle_of_a_rollout_goes_on_elsewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _, second = canary_under_way(world)
    early, late = world.folder / "early.tar.gz", world.folder / "late.tar.gz"
    with users(world.url) as answers:
        wait_for(lambda: answers.versions["version 2"] > 0, why="the canary gets traffic")
        trimtab("backup", str(early), "--home", str(world.home), cwd=world.folder)
        history = [entry.summary for entry in world.client.history("shop", limit=1000)]
        log = world.desired_log()
        _backup_while_it_is_aborted(world, late, second, monkeypatch)
    assert not answers.bad, "nobody notices a backup"
    assert len(world.desired_log()) > len(log)
    world.down()

    with restored(world, early, "elsewhere") as elsewhere:
        assert elsewhere.production.live == first
        with users(elsewhere.url) as answers:
            wait_for(lambda: answers.versions["version 1"] > 50, why="the live release serves")
            wait_for(lambda: answers.versions["version 2"] > 5, why="the canary has its share again")
        known = [entry.summary for entry in elsewhere.client.history("shop", limit=1000)]
        assert known[: len(history) // 2] == history[: len(history) // 2]
        assert elsewhere.desired_log() == log
        elsewhere.client.steer("shop", "production", "promote")
        rollout = elsewhere.ended(second)
        assert (rollout.status, rollout.number) == ("promoted", 2), "the same rollout, not another one"

    with restored(world, late, "late") as elsewhere:
        rollout = elsewhere.ended(second)
        assert (rollout.status, rollout.number) == ("superseded", 2), "Git is right, which was read after the database"
        elsewhere.live(first)
        with users(elsewhere.url) as answers:
            wait_for(lambda: answers.versions["version 1"] > 50, why="the live release serves")
        assert answers.versions["version 2"] == 0


def _backup_while_it_is_aborted(world: World, file: Path, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollout ends just after the moment of the database: the copied state repository does, the database not."""
    add_small = contents.add_small

    def first_abort(writer: Writer, home: Path, *, secrets: bool) -> None:
        before = len(world.desired_log())
        world.client.steer("shop", "production", "abort")
        world.ended(commit)
        wait_for(lambda: len(world.desired_log()) > before, why="Git says so, too")
        add_small(writer, home, secrets=secrets)

    monkeypatch.setattr(contents, "add_small", first_abort)
    backup(world.home, file)
