"""What has nothing to do costs reads and no writes, and is looked at all the same."""

from __future__ import annotations

from pathlib import Path

from tests.engine.world import PRODUCTION, World
from trimtab.core.model.desired import desired_path, render_desired
from trimtab.engine.idle import LOOKS_PER_S, IdleLooks


async def test_nothing_is_decided_while_nothing_happens(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    world.start()
    world.push("first")
    await world.until(lambda: world.ended(1))
    await world.clock.run_for(30.0)
    assert world.crashing is not None
    writes, facts = world.crashing.writes, len(world.facts())
    await world.clock.run_for(600.0)
    assert (world.crashing.writes, len(world.facts())) == (writes, facts)
    await world.stop()


async def test_an_edit_of_git_is_noticed_by_looking(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    world.start()
    world.push("first")
    await world.until(lambda: world.ended(1))
    world.push("second")
    await world.until(lambda: world.ended(2))
    await world.clock.run_for(60.0)
    [_, first] = world.board.rollouts(PRODUCTION)
    world.state_repository.push({desired_path(PRODUCTION): render_desired(PRODUCTION, first.release)})
    await world.until(lambda: world.ended(3), within_s=20.0)
    await world.stop()


def test_the_more_is_idle_the_less_often_each_is_looked_at() -> None:
    looks = IdleLooks()
    for number in range(10_000):
        looks.saw(f"app/shop{number}", 10.0, now=0.0)
    times = sorted(looks.looked_at().values())
    assert times[0] == 10.0, "as asked for while there are few"
    assert times[-1] == 10_000 / LOOKS_PER_S
    assert looks.looked_at() == {}, "each is stored once"


def test_what_has_something_to_do_does_not_count() -> None:
    looks = IdleLooks()
    for number in range(1000):
        looks.saw(f"app/shop{number}", 1.0, now=0.0)
    for number in range(990):
        looks.forget(f"app/shop{number}")
    looks.looked_at()
    looks.saw("app/shop995", 1.0, now=5.0)
    assert looks.looked_at() == {"app/shop995": 6.0}


def test_what_only_a_newer_version_can_read_is_left_alone_for_a_while() -> None:
    looks = IdleLooks()
    looks.shun("app/shop", until=30.0)
    assert looks.is_shunned("app/shop", 29.9)
    assert not looks.is_shunned("app/shop", 30.0)
