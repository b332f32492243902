"""Templates of steps from a commit and from other repositories, when a run begins."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.world import World
from trimtab.core.model.template import template_digest
from trimtab.ports.processes import ProcessSpec
from trimtab.testing.memory_source import File
from trimtab.views.model import RunView

FILE = "app: shop\nservice: {{command: serve}}\npipeline: {{test: {{uses: {uses}}}}}\n"
FILE += "environments: {{production: {{strategy: instant}}}}\n"
TEMPLATE = b"step: {run: make test}\n"
PINNED = f"{{repository: 'memory:steps', path: a.yaml, digest: '{template_digest(TEMPLATE)}'}}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    world.register()
    world.start()
    # What compiles waits in its thread for files that the loop reads.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    yield world
    await world.stop()


async def run(world: World, uses: str, **files: bytes) -> RunView:
    """The next run, when it has ended, of a commit with these files beside `trimtab.yaml`."""
    here = {f"{name}.yaml": File(content) for name, content in files.items()}
    return await world.next_run({"trimtab.yaml": File(FILE.format(uses=uses).encode()), **here})


async def test_a_template_of_the_same_commit(world: World) -> None:
    commands: list[tuple[str, ...]] = []
    start = world.processes.start

    async def remember(spec: ProcessSpec) -> object:
        commands.append(spec.argv)
        return await start(spec)

    world.processes.start = remember  # type: ignore[method-assign,assignment]
    assert (await run(world, "t.yaml", t=TEMPLATE)).status == "passed"
    assert commands == [("/bin/sh", "-ec", "make test")]


async def test_a_template_that_is_not_in_the_commit(world: World) -> None:
    found = await run(world, "t.yaml")
    assert found.status == "invalid"
    assert "there is no file `t.yaml`" in found.reason


async def test_a_pinned_template_of_another_repository(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.config.sources._ADDRESS", re.compile(r"memory:\w+"))
    world.source.commit("steps", {"a.yaml": File(TEMPLATE)})
    assert (await run(world, PINNED)).status == "passed"
    world.source.commit("steps", {"a.yaml": File(b"step: {run: steal}\n")})
    assert (await run(world, PINNED)).status == "passed", "the pinned file is known"
    other = await run(world, PINNED.replace("digest: 'sha256:", "digest: 'sha256:0")[:-3] + "'}")
    assert other.status == "invalid"
    assert "is another file than the one that is pinned" in other.reason


async def test_a_repository_that_is_not_there_is_not_the_changes_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trimtab.config.sources._ADDRESS", re.compile(r"memory:\w+"))
    found = await run(world, PINNED)
    assert found.status == "lost"
    assert "cannot be reached" in found.reason
