"""A controller that dies at any of its writes, just before it or just after, loses nothing and does nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.world import PRODUCTION, World


async def deliver(world: World, *, bad: bool, crash_at: int | None = None, after: bool = False) -> None:
    """A first release, and a second one through its canary; the controller dies once on the way."""
    world.register()
    world.start(crash_at, after=after)
    world.push("first")
    await world.until(lambda: world.ended(1))
    world.errors["second"] = 0.5 if bad else 0.0
    world.push("second")
    await world.until(lambda: world.ended(2))
    await world.until(lambda: len(await_instances(world)) == 1)


def await_instances(world: World) -> set[str]:
    """The releases that have instances."""
    return {instance.release for _, instance in world.runtime._instances.values() if instance.phase != "stopped"}


def examine(world: World, *, bad: bool) -> None:
    """The same end as without a crash, and nothing that should not have been."""
    first, second = (rollout for rollout in reversed(world.board.rollouts(PRODUCTION)))
    assert first.status == "promoted"
    assert second.status == ("rolled_back" if bad else "promoted")
    assert second.verdict == ("FAIL" if bad else "PASS")
    place = world.board.environment(PRODUCTION)
    assert place is not None
    assert place.live == (first.release if bad else second.release)
    assert world.processes.started == ["step/shop/1/test/1", "step/shop/2/test/1"]
    assert world.commits() == (["Promote", "Promote", "Roll"] if bad else ["Promote", "Promote"])
    assert world.highest_share_pct <= 50.0
    assert await_instances(world) == {place.live}
    kinds = [recorded.kind for recorded in world.facts()]
    assert kinds.count("RunFinished") == 4  # two runs, each told to its application too


async def count_writes(folder: Path, *, bad: bool) -> int:
    world = World(folder)
    await deliver(world, bad=bad)
    examine(world, bad=bad)
    assert world.crashing is not None
    writes = world.crashing.writes
    await world.stop()
    return writes


@pytest.mark.parametrize("bad", [False, True], ids=["promoted", "rolled back"])
async def test_a_crash_at_every_write_changes_nothing_in_the_end(tmp_path: Path, bad: bool) -> None:
    writes = await count_writes(tmp_path / "whole", bad=bad)
    for crash_at in range(1, writes + 1):
        for after in (False, True):
            world = World(tmp_path / f"{crash_at}-{after}")
            try:
                await deliver(world, bad=bad, crash_at=crash_at, after=after)
                examine(world, bad=bad)
            except AssertionError as error:
                raise AssertionError(f"crash {'after' if after else 'before'} write {crash_at} of {writes}") from error
            finally:
                await world.stop()
