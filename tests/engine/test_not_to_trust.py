"""The whole engine with parts that lie or are silent: what cannot be trusted promotes nothing and fails nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.world import CONFIGURATION, PRODUCTION, World
from trimtab.core.errors import Problem
from trimtab.core.model.identity import ArmId, Digest
from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.traffic import Share
from trimtab.views.model import RolloutView

OUTAGE_S = 300.0
METRIC = "metrics: {refusals: {events: {bad: bad, all: all}, json: 'http://127.0.0.1:9/', acceptable: 5%, fresh: 30s}}"
WITH_METRIC = CONFIGURATION.replace("analysis: {", "analysis: {" + METRIC + ", ")
HALF = CONFIGURATION.replace("[{weight: 20%, hold: 1s, requests: 10}, {weight: 50%, hold: 1s, requests: 20}]", "[50%]")
IMPATIENT = HALF.replace("[50%]", "[50%], progress_deadline: 20s")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The first release is live."""
    world = World(tmp_path)
    world.register()
    world.start()
    world.push("first")
    await world.until(lambda: world.ended(1))
    try:
        yield world
    finally:
        await world.stop()


def newest(world: World) -> RolloutView:
    return world.board.rollouts(PRODUCTION)[0]


async def second_rollout(world: World, configuration: str, *, status: str = "observing") -> None:
    """Push a second release; wait until its rollout is like that."""
    world.push("second", configuration)
    await world.until(lambda: newest(world).number == 2 and newest(world).status == status)


async def elapse(world: World, seconds: float) -> None:
    begin = world.clock.now()
    while world.clock.now() < begin + seconds:
        await world.frame()


async def test_a_router_that_takes_the_share_and_holds_another_never_gets_evidence(world: World) -> None:
    world.traffic.share_told[PRODUCTION] = Share(5.0)
    await second_rollout(world, IMPATIENT, status="shifting")
    await world.until(lambda: world.ended(2))
    assert newest(world).status == "rolled_back"
    assert newest(world).reason == "no progress for 20 s, waiting for the share"
    kinds = [recorded.kind for recorded in world.facts()]
    assert kinds.count("WeightVerified") == 0
    assert world.traffic.share(PRODUCTION) == Share(0.0)


async def test_a_router_that_loses_its_share_in_the_middle_stops_the_step_until_it_holds_it_again(world: World) -> None:
    await second_rollout(world, HALF)
    world.traffic.share_told[PRODUCTION] = Share(7.0)
    await world.until(lambda: "WeightLost" in [recorded.kind for recorded in world.facts()])
    await elapse(world, 60.0)
    assert newest(world).status == "shifting"
    world.traffic.share_told.clear()
    await world.until(lambda: world.ended(2))
    assert newest(world).status == "promoted"


async def test_a_router_that_says_one_share_and_gives_another_is_found_by_counting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads back 50 %, and sends 80 %: the verdict is INVALID, and the rollout is held."""
    honest = world.traffic.split

    def dishonest(environment: object, requests: int) -> dict[ArmId, int]:
        found = dict(honest(PRODUCTION, requests))
        route = world.traffic.applied[-1]
        if route.candidate is not None and found.get(route.candidate.arm):
            found[route.candidate.arm], found[route.stable.arm] = requests * 4 // 5, requests - requests * 4 // 5
        return found

    monkeypatch.setattr(type(world.traffic), "split", lambda _self, *words: dishonest(*words))
    await second_rollout(world, HALF.replace("[50%]", "[{weight: 50%, hold: 10m}]"))
    await world.until(lambda: newest(world).held != "", within_s=300.0)
    assert "the candidate got 80 %" in newest(world).held
    await elapse(world, 120.0)
    assert newest(world).status != "promoted"
    assert not newest(world).ended


async def test_a_silent_gateway_holds_everything_and_ends_nothing(world: World) -> None:
    await second_rollout(world, HALF)
    world.traffic.problem = Problem("gateway-silent", "the gateway does not answer")
    await elapse(world, OUTAGE_S)
    assert not newest(world).ended
    world.traffic.problem = None
    await world.until(lambda: world.ended(2))
    assert newest(world).status == "promoted"


async def test_five_minutes_without_metrics_are_no_failure_and_no_promotion(world: World) -> None:
    measured = Measured(world)
    await second_rollout(world, WITH_METRIC)
    measured.more(bad=1)
    world.measurements.silent = Problem("metric-refused", "the endpoint answers HTTP 503")
    await elapse(world, OUTAGE_S)
    assert (newest(world).status, newest(world).verdict) == ("observing", "")
    assert "refusals" in newest(world).held
    assert "HTTP 503" in newest(world).held
    world.measurements.silent = None

    def told() -> bool:
        measured.more(bad=1)
        return world.ended(2)

    await world.until(told)
    assert (newest(world).status, newest(world).verdict) == ("promoted", "PASS")


async def test_what_fails_during_an_outage_of_the_metrics_still_goes_back(world: World) -> None:
    await second_rollout(world, WITH_METRIC)
    world.measurements.silent = Problem("metric-refused", "the endpoint answers HTTP 503")
    await elapse(world, 60.0)
    world.errors["second"] = 0.5
    await world.until(lambda: world.ended(2))
    assert (newest(world).status, newest(world).verdict) == ("rolled_back", "FAIL")


async def test_a_metric_of_ones_own_that_is_worse_goes_back(world: World) -> None:
    measured = Measured(world)
    await second_rollout(world, WITH_METRIC)

    def told() -> bool:
        measured.more(bad=40)
        return world.ended(2)

    await world.until(told)
    assert (newest(world).status, newest(world).verdict) == ("rolled_back", "FAIL")
    assert "refusals" in newest(world).reason


class Measured:
    """A metric's totals: a hundred events more at a time on each arm, one of them bad on the stable release."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._totals: dict[Digest, ArmMeasure] = {}

    def more(self, bad: int) -> None:
        rollout = newest(self._world)
        for release, number in ((rollout.release, bad), (rollout.stable or "", 1)):
            before = self._totals.get(release, ArmMeasure())
            self._totals[release] = replace(before, bad=before.bad + number, all=before.all + 100)
        told: Mapping[ArmId, ArmMeasure] = self._totals
        self._world.measurements.tell("refusals", told)
