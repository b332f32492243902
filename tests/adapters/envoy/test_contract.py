"""The contract of Traffic and Metrics, on Envoy and in memory."""

from __future__ import annotations

import itertools

import pytest

from tests.adapters.envoy.rig import EnvoyRig
from trimtab.core.model.identity import ArmId
from trimtab.core.model.traffic import Endpoint, Route
from trimtab.ports.traffic import Metrics, Traffic
from trimtab.testing.clock import ManualClock
from trimtab.testing.memory_traffic import MemoryTraffic
from trimtab.testing.traffic_contract import TRAFFIC_CHECKS, TrafficCheck

pytestmark = pytest.mark.asyncio(loop_scope="module")


class MemoryRig:
    """A `TrafficRig` without a network."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryTraffic(self.clock, taken_ports={80})
        self._ports = itertools.count(8000)

    @property
    def traffic(self) -> Traffic:
        return self.memory

    @property
    def metrics(self) -> Metrics:
        return self.memory

    def free_address(self) -> Endpoint:
        return Endpoint("127.0.0.1", next(self._ports))

    def taken_address(self) -> Endpoint:
        return Endpoint("127.0.0.1", 80)

    async def instance(self, arm: ArmId) -> Endpoint:
        return self.free_address()

    async def send(self, route: Route, requests: int) -> None:
        self.memory.send(route.environment, requests)

    async def elapse(self, seconds: float) -> None:
        await self.clock.run_for(seconds)


@pytest.mark.parametrize("check", TRAFFIC_CHECKS, ids=lambda check: check.__name__)
async def test_envoy(rig: EnvoyRig, check: TrafficCheck) -> None:
    await check(rig)


@pytest.mark.parametrize("check", TRAFFIC_CHECKS, ids=lambda check: check.__name__)
async def test_memory(check: TrafficCheck) -> None:
    await check(MemoryRig())
