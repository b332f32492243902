"""What the in-memory gateway can do beyond the contract: lie, fail and share requests out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.traffic import Backend, Endpoint, Route, Share
from trimtab.testing.clock import ManualClock
from trimtab.testing.memory_traffic import MemoryTraffic
from trimtab.testing.traffic_contract import NEW, OLD

SHOP = EnvironmentId("shop", "production")
ROUTE = Route(SHOP, Endpoint("127.0.0.1", 80), Backend(OLD, ()), Backend(NEW, ()), "lease")


@pytest.fixture
async def gateway() -> MemoryTraffic:
    memory = MemoryTraffic(ManualClock())
    await memory.apply(ROUTE, 1)
    await memory.lease(SHOP, "lease", Share(10.0), 1)
    return memory


async def test_small_shares_add_up(gateway: MemoryTraffic) -> None:
    assert sum(gateway.send(SHOP, 3)[NEW] for _ in range(100)) == 30
    counts = await gateway.counts(SHOP)
    assert (counts[OLD].requests, counts[NEW].requests) == (270, 30)


async def test_what_is_recorded_is_counted(gateway: MemoryTraffic) -> None:
    gateway.record(SHOP, NEW, requests=4, errors=1, latencies_ms=[5.0, 500.0])
    counts = (await gateway.counts(SHOP))[NEW]
    assert (counts.requests, counts.errors, counts.latency.total) == (4, 1, 4)
    p50, p100 = counts.latency.quantile_ms(0.5), counts.latency.quantile_ms(1.0)
    assert p50 == pytest.approx(5.0, rel=0.03)
    assert p100 == pytest.approx(500.0, rel=0.03)


async def test_readings_can_lie(gateway: MemoryTraffic) -> None:
    gateway.share_told[SHOP] = Share(99.0)
    assert (await gateway.reading(SHOP)).share.candidate_pct == 99.0
    assert gateway.share(SHOP).candidate_pct == 10.0


async def test_a_broken_gateway_takes_nothing(gateway: MemoryTraffic) -> None:
    gateway.problem = Problem("gateway-down", "gone")
    with pytest.raises(TrimtabError):
        await gateway.apply(replace(ROUTE, candidate=None), 1)
    assert (await gateway.reading(SHOP)).problem == gateway.problem
    gateway.problem = None
    assert (await gateway.reading(SHOP)).candidate == NEW
