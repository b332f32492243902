"""Instances that are taken out of the traffic, and those that are wanted again meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.world import PRODUCTION, World
from trimtab.core.model.actions import ScaleDown
from trimtab.core.model.release import digest_of
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification
from trimtab.core.model.traffic import Backend, Endpoint, Route
from trimtab.engine.delivery import Delivery, GateCommand
from trimtab.engine.loop import Order
from trimtab.engine.trusting import Trusting

OLD = digest_of(b"old")
SPECIFICATION = Specification("shop", ServiceSpec("serve"), (EnvironmentSpec("production", 8080),))


@pytest.mark.parametrize(("back_in_traffic", "left"), [(True, 2), (False, 1)])
async def test_what_serves_again_is_not_stopped(tmp_path: Path, back_in_traffic: bool, left: int) -> None:
    world = World(tmp_path)
    await world.runtime.ensure(PRODUCTION, OLD, SPECIFICATION, tmp_path, 2)
    first, second = [instance.endpoint for instance in await world.runtime.instances(PRODUCTION)]
    stable = Backend(OLD, (first, second)) if back_in_traffic else Backend(OLD, (first,), (second,))
    await world.traffic.apply(Route(PRODUCTION, Endpoint("127.0.0.1", 8080), stable), 1)
    delivery = Delivery(
        world.state_repository,
        world.artifacts,
        world.runtime,
        world.traffic,
        world.processes,
        world.clock,
        Trusting(world.artifacts, world.keys, world.clock),
        lambda *_: False,
        lambda gate: GateCommand((), {}),
    )
    action = ScaleDown("shop", "production", OLD, keep=1, drain_timeout_s=5.0)
    await delivery.scale_down(Order(action, PRODUCTION.object_id, "scale-1", 1))
    alive = [i for i in await world.runtime.instances(PRODUCTION) if i.phase != "stopped"]
    assert len(alive) == left
