"""A clock that is set back by an hour holds nothing up for an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.world import PRODUCTION, World
from trimtab.testing.clock import ManualClock

HOUR_S = 3600.0


def set_back(clock: ManualClock) -> None:
    """As NTP or a person does it: sleepers sleep as long as they would have."""
    clock._now -= HOUR_S
    clock._sleepers = [(at - HOUR_S, order, woken) for at, order, woken in clock._sleepers]


@pytest.mark.parametrize("restarts", [False, True], ids=["while it runs", "while it is away"])
async def test_a_rollout_goes_on_when_the_clock_was_set_back(tmp_path: Path, restarts: bool) -> None:
    world = World(tmp_path)
    world.register()
    world.start()
    world.push("first")
    await world.until(lambda: world.ended(1))
    world.push("second")
    await world.until(lambda: world.traffic.share(PRODUCTION).candidate_pct == 20)
    world.errors["second"] = 0.9
    if restarts:
        await world.kill("controller")
    set_back(world.clock)
    if restarts:
        world.start()
    await world.until(lambda: world.ended(2), within_s=60.0)
    assert world.board.rollouts(PRODUCTION)[0].status == "rolled_back"
    await world.stop()
