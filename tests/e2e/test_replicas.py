"""Several controllers on one folder: one dies, one is paused, and the canary goes on; a zombie changes nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks._engine_replicas import ROLLOUTS, replicas

from tests.e2e.conftest import tidied
from tests.e2e.replicas import Replicas, paused
from tests.e2e.world import LONG_CANARY, Answers, users, wait_for
from trimtab.core.errors import TrimtabError

THREE = ("ann", "ben", "cleo")
MARKS = "pipeline: {{once: {{run: 'echo $TRIMTAB_RUN >> {marks}', sandbox: none}}}}"
TAKEOVER_S = 10.0


def planted(world: Replicas, *, controllers: tuple[str, ...] = THREE) -> None:
    """A first release, by several controllers."""
    world.plant(pipeline=MARKS.format(marks=world.folder / "marks"))
    world.join(*controllers)
    assert world.ended(world.push(version=1)).status == "promoted"
    world.configure(strategy=LONG_CANARY, pipeline=MARKS.format(marks=world.folder / "marks"))


def returns(world: Replicas, answers: Answers, since_s: float, why: str) -> float:
    """How long after `since_s` the canary, having lost its share, gets traffic from another controller."""
    wait_for(lambda: world.leader is not None, why="somebody leads")
    fence = world.hand

    def served() -> bool:
        return answers.last_s["version 2"] > taken_s + 0.5

    taken_s = time.monotonic()
    wait_for(served, why=why)
    assert world.hand == fence
    return time.monotonic() - since_s


def end_to_end(world: Replicas) -> None:
    planted(world)
    with users(world.url) as answers:
        second = world.push(version=2)
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0)
        first, fence = world.leads(*THREE), world.hand
        killed_s = time.monotonic()
        world.kill(first)
        second_leader = world.leads(*world.running)
        killed = returns(world, answers, killed_s, "the canary goes on after a death")
        assert world.hand > fence
        paused_s = time.monotonic()
        with paused(world, second_leader):
            third = world.leads(*(name for name in world.running if name != second_leader))
            stopped = returns(world, answers, paused_s, "the canary goes on while its controller sleeps")
            before = world.told()
        world.meet()
        wait_for(lambda: "another controller" in world.log(second_leader), why="the zombie notices")
        goes_on(world, answers)
        assert world.told() == before
        world.kill(third)
        assert world.leads(second_leader) == second_leader
        world.meet()
        goes_on(world, answers)
        world.client.steer("shop", "production", "promote")
        assert world.ended(second).status == "promoted"
    assert not answers.bad
    print(f"the canary went on {killed:.1f} s after a death, {stopped:.1f} s after a pause")
    assert max(killed, stopped) <= TAKEOVER_S
    assert (world.folder / "marks").read_text().split() == ["1", "2"]
    assert [line.split()[0] for line in world.desired_log()] == ["Promote", "Promote"]
    all_end(world)


def goes_on(world: Replicas, answers: Answers) -> None:
    """The canary has its share, and its evidence is counted."""
    since_s = time.monotonic()
    wait_for(lambda: answers.last_s["version 2"] > since_s + 1.0, why="the canary gets traffic")

    def counted() -> bool:
        try:
            rollouts = world.client.rollouts("shop", "production")
        except TrimtabError:
            return False
        return rollouts[0].status == "observing"

    wait_for(counted, why="the canary is observed")


def all_end(world: Replicas) -> None:
    words = [sys.executable, "-m", "trimtab.cli.main", "down", "--home", str(world.home)]
    assert subprocess.run(words, capture_output=True, timeout=60).returncode == 0
    for process in world.running.values():
        assert process.wait(timeout=10.0) == 0
    assert not world.processes()


@pytest.mark.timeout(180)
def test_three_controllers_in_a_file() -> None:
    with tidied(Replicas) as world:
        end_to_end(world)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_three_controllers_in_postgres(fresh_postgres: Callable[[], str]) -> None:
    with tidied(Replicas) as world:
        world.database = fresh_postgres()
        end_to_end(world)


def paused_again_and_again(folder: Path, rounds: int, database: str | None = None) -> None:
    measured = replicas(folder, rounds, database)
    print(measured)
    assert measured["pause_trials"] == rounds * ROLLOUTS
    assert measured["stale_writes"] == 0
    assert measured["refused_writes"] + measured["ended_in_writing"] > 0, "nobody was in the middle of anything"
    assert measured["takeover_p99_s"] <= TAKEOVER_S


@pytest.mark.timeout(120)
def test_a_leader_paused_in_the_middle_of_fifty_rollouts_writes_nothing_stale(tmp_path: Path) -> None:
    paused_again_and_again(tmp_path, rounds=2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_pauses_in_a_file(tmp_path: Path) -> None:
    paused_again_and_again(tmp_path, rounds=20)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_pauses_in_postgres(tmp_path: Path, fresh_postgres: Callable[[], str]) -> None:
    paused_again_and_again(tmp_path, rounds=20, database=fresh_postgres())
