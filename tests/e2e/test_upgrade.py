"""Trimtab itself is replaced by a newer version in the middle of a canary.

The older one is kept as it was (`older/schema-1.tar.xz`: the commit 03b3d76, without what a controller does not need):
its store has schema 1, and its lock lets nobody else in.
"""

from __future__ import annotations

import signal
import sqlite3
import tarfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.test_doctor import doctor, envoy
from tests.e2e.world import World, users, wait_for
from trimtab.adapters.store_sql.migrate import migrations

OLDER = Path(__file__).parent / "older" / "schema-1.tar.xz"
CANARY = "{canary: {steps: [{weight: 20%, hold: 3s, requests: 10}, {weight: 50%, hold: 1s, requests: 20}]}}"
MARKS = "pipeline: {{once: {{run: 'echo $TRIMTAB_RUN >> {marks}', sandbox: none}}}}"
OLDER_MARKS = MARKS.replace(", sandbox: none", "")
"""The older one knows no sandbox."""


def schema(world: World) -> int:
    with closing(sqlite3.connect(world.home / "trimtab.db")) as database:
        [(version,)] = database.execute("SELECT MAX(version) FROM schema_version")
    return int(version)


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, id="stopped", marks=pytest.mark.slow), pytest.param(signal.SIGKILL, id="killed")],
)
def test_a_newer_version_goes_on_with_the_canary_of_an_older_one(
    world: World, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(OLDER) as archive:
        archive.extractall(world.folder / "older", filter="data")
    world.plant(pipeline=OLDER_MARKS.format(marks=world.folder / "marks"))
    with monkeypatch.context() as older:
        older.setenv("PYTHONPATH", str(world.folder / "older" / "src"))
        world.up()
    assert world.ended(world.push(version=1)).status == "promoted"
    world.configure(strategy=CANARY, pipeline=OLDER_MARKS.format(marks=world.folder / "marks"))
    gateway = envoy(world)
    with users(world.url) as answers:
        second = world.push(version=2)
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0)
        assert schema(world) == 1, "it is the older one that runs"
        assert world.controller is not None
        world.controller.send_signal(number)
        world.controller.wait(timeout=10.0)
        world.up()
        assert schema(world) == len(migrations())
        came_s = time.monotonic()
        assert world.ended(second).status == "promoted"
        assert answers.last_s["version 2"] > came_s, "the canary went on"
        world.live(world.client.releases("shop")[0].release)
        world.configure(strategy="instant", pipeline=MARKS.format(marks=world.folder / "marks"))
        third = world.push(version=3)
        assert world.ended(third).status == "promoted"
    assert not answers.bad
    assert gateway.is_running()
    assert not doctor(world, "gateway", "database", "engine")
    assert (world.folder / "marks").read_text().split() == ["1", "2", "3"]
    assert [line.split()[0] for line in world.desired_log()] == ["Promote"] * 3
