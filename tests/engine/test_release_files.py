"""The files that a release names, from the commit to the instance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engine.world import PRODUCTION, World
from trimtab.core.model.specification import Specification
from trimtab.testing.memory_source import File
from trimtab.views.model import RunView

FILE = """app: shop
service: {command: serve}
release: {prompts: {answer: prompts/answer.txt}, model: {name: gpt-x, parameters: {temperature: %s}}}
environments: {production: {strategy: instant}}
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    world.register()
    world.start()
    yield world
    await world.stop()


async def run(world: World, prompt: bytes, temperature: float = 0.2) -> RunView:
    """The next run, when it has ended, of a commit with this prompt."""
    files = {"trimtab.yaml": File((FILE % temperature).encode()), "prompts/answer.txt": File(prompt)}
    return await world.next_run(files)


async def test_a_prompt_that_cannot_be_rendered_is_in_no_release(world: World) -> None:
    found = await run(world, b"one\n{% if %}\n")
    assert (found.status, found.release) == ("failed", None)
    assert "the release could not be cut: prompts/answer.txt:2: " in found.reason
    assert world.board.releases("shop") == ()
    assert (await run(world, b"{{ q }}\n")).status == "passed"


async def test_the_manifest_and_the_instances_know_the_variables(world: World) -> None:
    seen: list[Specification] = []
    ensure = world.runtime.ensure

    async def remember(*args: object, **more: object) -> None:
        seen.extend(each for each in args if isinstance(each, Specification))
        await ensure(*args, **more)  # type: ignore[arg-type]

    world.runtime.ensure = remember  # type: ignore[method-assign]
    found = await run(world, b"{{ q }} {{ p }}\n")
    assert found.release is not None
    manifest = await world.artifacts.manifest(found.release)
    assert manifest.prompts["answer"].variables == ("p", "q")
    assert set(manifest.parts) == {"code", "prompts"}
    await world.until(lambda: world.ended(1))
    place = world.board.environment(PRODUCTION)
    assert place is not None
    assert place.live == found.release
    assert seen[0].release.prompts["answer"].variables == ("p", "q")


async def test_the_board_says_what_each_release_changes(world: World) -> None:
    for prompt, temperature in ((b"one\n", 0.2), (b"two\n", 0.2), (b"two\n", 0.7)):
        assert (await run(world, prompt, temperature)).status == "passed"
    # The file that says it is in a part, too.
    assert [release.changed for release in world.board.releases("shop")] == [("code", "model"), ("prompts",), ()]
