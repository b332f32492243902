"""The database on a machine of its own, whose network is cut: to one of two controllers, then to both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import tidied
from tests.e2e.replicas import Replicas
from tests.e2e.test_replicas import TAKEOVER_S, goes_on, planted
from tests.e2e.world import Answers, users, wait_for
from tests.namespaces import Room, room
from tests.postgres import needed_programs, running

LEASE_AND_A_BIT_S = 3.5
CUT_S = 15.0
TWO = ("ann", "ben")


@dataclass
class Far:
    """An installation whose controllers each have a link of their own to the database."""

    world: Replicas
    room: Room

    def cut(self, *names: str) -> float:
        """When (monotonic seconds)."""
        for name in names:
            self.room.cut(TWO.index(name))
        return time.monotonic()

    def heal(self, *names: str) -> None:
        for name in names:
            self.room.heal(TWO.index(name))

    def other(self, name: str) -> str:
        return TWO[1 - TWO.index(name)]


@pytest.fixture
def far() -> Iterator[Far]:
    with (
        room(links=2) as made,
        running(needed_programs(), made.addresses, made.inside) as url,
        tidied(Replicas) as world,
    ):
        by_link = [url.replace(made.addresses[0], address) for address in made.addresses]
        world.databases = dict(zip(TWO, by_link, strict=True))
        far = Far(world, made)
        try:
            yield far
        finally:
            far.heal(*TWO)


@pytest.mark.timeout(240)
def test_a_controller_that_is_cut_off_from_the_database_gives_way(far: Far) -> None:
    world = far.world
    planted(world, controllers=TWO)
    with users(world.url) as answers:
        second = world.push(version=2)
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0)
        cut_off = world.leads(*TWO)
        successor = far.other(cut_off)
        cut_s = far.cut(cut_off)
        assert world.leads(successor) == successor
        taken_s = time.monotonic() - cut_s
        world.meet()
        goes_on(world, answers)
        before = world.told()
        wait_for(lambda: "nothing can be decided" in world.log(cut_off), why="the one that is cut off says so")
        far.heal(cut_off)
        wait_for(lambda: "another controller leads" in world.log(cut_off), why="it notices that another one leads")
        goes_on(world, answers)
        assert world.told() == before
        world.kill(successor)
        assert world.leads(cut_off) == cut_off
        world.meet()
        goes_on(world, answers)
        world.client.steer("shop", "production", "promote")
        assert world.ended(second).status == "promoted"
    assert not answers.bad
    print(f"another controller led {taken_s:.1f} s after the cut")
    assert taken_s <= TAKEOVER_S
    examine(world)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_database_that_nobody_reaches_stops_decisions_and_nothing_else(far: Far) -> None:
    world = far.world
    planted(world, controllers=TWO)
    with users(world.url) as answers:
        second = world.push(version=2)
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0)
        cut_s = far.cut(*TWO)
        before = world.told()
        stable_has_everything(answers, cut_s)
        wait_for(lambda: all("nothing can be decided" in world.log(name) for name in TWO), why="both say so")
        wait_for(lambda: time.monotonic() > cut_s + CUT_S)
        stable_has_everything(answers, cut_s)
        assert world.told() == before
        far.heal(*TWO)
        wait_for(lambda: world.leader is not None, why="somebody leads again")
        goes_on(world, answers)
        world.meet()
        world.client.steer("shop", "production", "promote")
        assert world.ended(second).status == "promoted"
    assert not answers.bad
    examine(world)


def stable_has_everything(answers: Answers, since_s: float) -> None:
    """The candidate was served until its lease was over, and not longer."""
    wait_for(lambda: time.monotonic() > since_s + LEASE_AND_A_BIT_S)
    served = answers.versions["version 1"]
    wait_for(lambda: answers.versions["version 1"] > served + 100, why="stable is served")
    assert answers.last_s["version 2"] - since_s <= LEASE_AND_A_BIT_S


def examine(world: Replicas) -> None:
    assert (world.folder / "marks").read_text().split() == ["1", "2"]
    assert [line.split()[0] for line in world.desired_log()] == ["Promote", "Promote"]
    assert [run.status for run in world.client.runs("shop")] == ["passed", "passed"]
