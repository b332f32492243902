"""Defects at the edges of the engine that the simulator found, each as its smallest case."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from tests.engine.world import CONFIGURATION, PRODUCTION, World
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.actions import StartStep
from trimtab.core.model.desired import desired_path, render_desired
from trimtab.core.model.specification import StepSpec
from trimtab.engine.checkouts import Checkouts
from trimtab.engine.loop import Order
from trimtab.engine.step_reports import StepReports
from trimtab.engine.steps import Steps
from trimtab.testing.memory_reports import MemoryReports
from trimtab.testing.memory_source import File


async def test_what_git_says_is_not_refused_because_the_release_cannot_be_read_for_a_moment(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    world.start()
    try:
        world.push("first")
        await world.until(lambda: world.ended(1))
        first = next(iter(world.board.releases("shop"))).release
        world.push("second")
        await world.until(lambda: world.ended(2))
        world.artifacts.faults.fail("manifest", failure("artifact-io", "the disk does not answer"), times=3)
        world.state_repository.push({desired_path(PRODUCTION): render_desired(PRODUCTION, first)})
        await world.until(lambda: world.ended(3))
        assert "DesiredRefused" not in [recorded.kind for recorded in world.facts()]
    finally:
        await world.stop()


def steps(world: World, folder: Path) -> Steps:
    return Steps(
        checkouts=Checkouts(world.source, folder),
        processes=world.processes,
        workspaces=world.workspaces,
        cache=world.step_cache,
        secrets=world.secrets,
        reports=StepReports(world.workspaces, MemoryReports()),
        env={},
        earlier=lambda *_: {},
    )


@pytest.mark.parametrize("made", [True, False], ids=["is making it too", "has finished the run"])
async def test_a_workspace_that_another_controller_made_first(tmp_path: Path, made: bool) -> None:
    world, workspaces = World(tmp_path), tmp_path / "workspaces"
    change = world.source.commit("shop", {"trimtab.yaml": File(CONFIGURATION.encode())})
    start = StartStep("shop", 1, change.commit, StepSpec("test", "pytest"), 1)
    order, checkout = Order(start, "run/shop/1", "step:test:1", 1), world.source.checkout

    async def slow(app: str, commit: str, into: Path, only: Collection[str] | None = None) -> None:
        await checkout(app, commit, into, only)
        into.rename(workspaces / "shop" / "1" / "source" if made else tmp_path / "elsewhere")

    world.source.checkout = slow  # type: ignore[method-assign]
    if made:
        await steps(world, workspaces).start(order)
        assert world.processes.started == ["step/shop/1/test/1"]
    else:
        with pytest.raises(TrimtabError, match="if this controller was paused for long, nothing is wrong"):
            await steps(world, workspaces).start(order)
