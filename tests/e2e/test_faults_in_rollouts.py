"""What breaks in the middle of a canary: Envoy, an instance, the disk. Nothing is promoted on what was not seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.e2e.conftest import tidied
from tests.e2e.test_doctor import doctor, envoy, paused, says
from tests.e2e.test_partitions import stable_has_everything
from tests.e2e.world import LONG_CANARY, World, end, users, wait_for
from tests.namespaces import small_disk

SHORT_STEP = "{canary: {steps: [{weight: 50%, hold: 3s, requests: 10}]}}"
PAUSE_S = 6.0
USERS = 4


def in_canary(world: World, strategy: str, **settings: str) -> str:
    """A second release, whose canary has its share; its commit."""
    world.plant(strategy="instant", **settings)
    world.up()
    assert world.ended(world.push(version=1)).status == "promoted"
    world.configure(strategy=strategy, **settings)
    return world.push(version=2)


def problems(world: World) -> set[str]:
    """The codes of what status says is wrong with the installation."""
    return {problem.code for problem in world.client.status().problems}


def kinds(world: World) -> list[str]:
    """Of the newest rollout's facts, oldest first."""
    history = world.client.history(limit=500, routine=True)
    return [entry.kind for entry in reversed(history) if entry.object.startswith("rollout/shop/production/2")]


def test_an_envoy_killed_in_a_step_has_its_share_read_back_before_evidence_counts(world: World) -> None:
    second = in_canary(world, LONG_CANARY)
    with users(world.url) as answers:
        world.observing(second)
        wait_for(lambda: "EvidenceCounted" in kinds(world), why="evidence is counted")
        gateway = envoy(world)
        supervisor = gateway.parent()
        assert supervisor is not None
        with paused(supervisor):  # else it is back before anybody has looked
            end(gateway)
            wait_for(lambda: "WeightLost" in kinds(world), why="it is seen that the share is gone")
        wait_for(lambda: kinds(world).count("WeightVerified") == 2, why="the share is read back again")
        served = answers.versions["version 2"]
        wait_for(lambda: answers.versions["version 2"] > served, why="the canary goes on")
        told = kinds(world)
        lost, again = told.index("WeightLost"), len(told) - 1 - told[::-1].index("WeightVerified")
        assert not {"StepEntered", "VerdictReached", "RolloutEnded"} & {*told[lost:again]}
        world.client.steer("shop", "production", "promote")
        assert world.ended(second).status == "promoted"


def test_a_paused_envoy_promotes_nothing_and_is_named(world: World) -> None:
    second = in_canary(world, SHORT_STEP)
    with users(world.url) as answers:
        world.observing(second)
        with paused(envoy(world)):
            since_s = time.monotonic()
            says(world, "gateway", "paused", "no answer")
            wait_for(lambda: time.monotonic() > since_s + PAUSE_S)
            rollout = world.rollout_of(second)
            assert rollout is not None
            assert not rollout.ended
            assert "gateway" in rollout.reason
            assert [problem.code for problem in world.production.problems] == ["gateway"]
        assert world.ended(second).status == "promoted"
        assert not doctor(world, "gateway")
    assert not answers.bad


def test_killed_instances_of_both_releases_cost_what_they_were_answering(world: World) -> None:
    second = in_canary(world, LONG_CANARY, more="replicas: 2")
    with users(world.url, number=USERS) as answers:
        world.observing(second)
        for victim in one_of_each_release(world):
            end(victim)
        served = answers.versions.copy()
        wait_for(lambda: all(answers.versions[v] > served[v] + 100 for v in ("version 1", "version 2")))
        world.client.steer("shop", "production", "promote")
        assert world.ended(second).status == "promoted"
    # What an instance was just answering is lost with it; nothing that had not reached it is.
    assert set(answers.bad) <= {"503"}
    assert answers.bad.get("503", 0) <= USERS


def one_of_each_release(world: World) -> list[psutil.Process]:
    """A process of the stable release and one of the candidate, as they listen."""
    instances = world.client.status().instances["shop/production"]
    ports = {instance.release: int(instance.address.rpartition(":")[2]) for instance in instances}
    listening = {
        c.laddr.port: p for p in world.processes("app.py") for c in p.net_connections() if c.status == "LISTEN"
    }
    return [listening[port] for port in ports.values()]


@pytest.fixture
def cramped() -> Iterator[World]:
    with tidied(World) as world:
        world.home.mkdir(mode=0o700)
        with small_disk(world.home, "48m"):
            try:
                yield world
            finally:
                world.down()


def test_a_full_disk_stops_decisions_and_nothing_else(cramped: World) -> None:
    world = cramped
    second = in_canary(world, LONG_CANARY)
    filler = world.home / "filler"
    with users(world.url) as answers:
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0)
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        wait_for(lambda: "nothing-decided" in problems(world), why="status says so")
        stable_has_everything(answers, time.monotonic())
        assert {"nothing-decided", "disk"} <= problems(world)
        says(world, "disk", "full")
        filler.unlink()
        served = answers.versions["version 2"]
        wait_for(lambda: answers.versions["version 2"] > served + 20, why="the canary goes on")
        wait_for(lambda: "nothing-decided" not in problems(world), why="status says so no more")
        world.client.steer("shop", "production", "promote")
        assert world.ended(second).status == "promoted"
    assert not answers.bad
