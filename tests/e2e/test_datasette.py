"""An application that we did not write, from one published version to the next and back, under real requests."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from tests.e2e.world import World, users, wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "datasette"
OLD, NEW = "0.64.8", "0.65.5"


@pytest.mark.timeout(400)
def test_datasette_goes_to_a_newer_version_and_back(world: World) -> None:
    shutil.copytree(EXAMPLE, world.repository)
    settings = world.repository / "trimtab.yaml"
    text = settings.read_text().replace("app: unicode", "app: shop").replace("8080", str(world.port))
    # Where packages come from may be part of this machine's own settings for pip.
    settings.write_text(text.replace("sandbox: {network: true}", "sandbox: none"))
    world.git("init", "--quiet", "--initial-branch=main")
    world.up()
    first = world.ended(world.push(), within_s=180)
    assert first.status == "promoted", first.reason
    assert version(world) == OLD
    assert named(world, 0x1F600) == "GRINNING FACE"

    requirements = world.repository / "requirements.txt"
    requirements.write_text(requirements.read_text().replace(OLD, NEW))
    with users(f"{world.url}/unicode/characters.json?category=Sm&_size=5", number=6) as answers:
        second = world.ended(world.push(), within_s=180)
        assert (second.status, second.verdict) == ("promoted", "PASS"), second.reason
        assert version(world) == NEW
        world.client.rollback("shop", "production")
        world.live(first.release)
        wait_for(lambda: version(world) == OLD, why="the old version answers again")
    assert not answers.bad
    assert answers.statuses["200"] > 200


def version(world: World) -> str:
    return str(httpx.get(f"{world.url}/-/versions.json").json()["datasette"]["version"])


def named(world: World, point: int) -> str:
    rows = httpx.get(f"{world.url}/unicode/characters/{point}.json?_shape=objects").json()["rows"]
    return str(rows[0]["name"])
