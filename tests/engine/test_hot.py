"""What the engine does with releases that are the same program: instances, retirement, what is kept on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.world import PRODUCTION, World
from trimtab.core.model.facts import RollbackRequested
from trimtab.core.model.identity import Digest
from trimtab.core.model.traffic import Instance
from trimtab.engine.housekeeping import Housekeeper
from trimtab.ports.processes import ProcessSpec

CONFIGURATION = """
app: shop
pipeline: {{test: pytest}}
service: {{command: serve}}
release: {{parts: {{code: [trimtab.yaml], words: [version.txt]}}, hot: [words]}}
environments:
  production:
    strategy: {strategy}
    analysis: {{latency: false, errors: {{acceptable: 5%}}}}
"""
INSTANT = CONFIGURATION.format(strategy="instant")
TRIAL = """{canary: {scale_down_delay: 0s, steps: [
    {experiment: {weight: 10%, variants: {short: {VARIANT: short}}}, hold: 500ms}, {weight: 50%, hold: 500ms}]}}"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    world.register()
    world.start()
    yield world
    await world.stop()


async def deployed(world: World, subject: str, configuration: str = INSTANT) -> Digest:
    number = len(world.board.rollouts(PRODUCTION)) + 1
    world.push(subject, configuration)
    await world.until(lambda: world.ended(number))
    place = world.board.environment(PRODUCTION)
    assert place is not None
    assert place.live is not None
    return place.live


def there(world: World) -> dict[str, Instance]:
    """The instances by their arms; there is one of each."""
    return {instance.release: instance for _, instance in world.runtime.everywhere()}


async def test_another_word_needs_no_other_instance_and_another_program_does(world: World) -> None:
    first = await deployed(world, "first")
    (before,) = there(world).values()
    second = await deployed(world, "second")
    assert second != first
    await world.until(lambda: list(there(world)) == [second])
    after = there(world)[second]
    assert (after.pid, after.endpoint) == (before.pid, before.endpoint)
    assert world.traffic.applied[-1].stable.endpoints == (before.endpoint,)
    world.append(RollbackRequested(first, "Ada"), PRODUCTION.object_id)
    await world.until(lambda: world.ended(3))
    await world.until(lambda: list(there(world)) == [first])
    assert there(world)[first].pid == before.pid
    third = await deployed(world, "third", INSTANT.replace("command: serve", "command: serve --fast"))
    await world.until(lambda: list(there(world)) == [third])
    assert there(world)[third].pid != before.pid


async def test_what_differs_on_purpose_shares_nothing(world: World) -> None:
    """A baseline has to be fresh, and a variant has variables of its own."""
    trial = CONFIGURATION.format(strategy=TRIAL)
    first = await deployed(world, "first", trial)
    world.push("second", trial)
    seen: dict[str, int | None] = {}

    def all_there() -> bool:
        seen.update({name: instance.pid for name, instance in there(world).items()})
        return len(seen) == 4

    await world.until(all_there)
    second = next(name for name in seen if "@" not in name and name != first)
    assert seen[first] == seen[second]
    assert len(set(seen.values())) == 3
    assert {name.partition("@")[2] for name in seen} == {"", "short", "baseline"}


async def test_a_release_stays_while_something_runs_in_its_folder(world: World) -> None:
    """However long ago it has left the environment: a prompt can change more often than anything restarts."""
    first = await deployed(world, "first")
    root = await world.artifacts.materialise(first)
    name = "instance/shop/production/first/1"
    await world.processes.start(ProcessSpec(name, ("serve",), str(root), restart=True))
    world.processes._processes[name] = replace_ending(world, name)
    keeper = Housekeeper(world.store, world.artifacts, world.processes, world.source, world.step_cache, world.clock)
    assert first in await keeper._in_use()
    for word in range(60):
        await deployed(world, f"word {word}")
    assert first not in keeper.keep(), "by itself it could go"
    await keeper.tidy()
    assert (await world.artifacts.manifest(first)).digest == first
    await world.processes.stop(name)
    await keeper.tidy()
    assert first not in await world.artifacts.releases()


def replace_ending(world: World, name: str) -> Any:
    """It runs until it is stopped."""
    return replace(world.processes._processes[name], ending=None)
