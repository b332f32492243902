"""What is left when the controller or Envoy dies. Each test has an Envoy of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.adapters.envoy.rig import EnvoyRig, eventually, promoted, restart_envoy, running_gateway, url
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.envoy import publisher
from trimtab.adapters.envoy.gateway import PROCESS, EnvoyGateway
from trimtab.core.errors import StaleFence, TrimtabError
from trimtab.core.model.traffic import Route, Share
from trimtab.testing.traffic_contract import NEW, OLD


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EnvoyRig]:
    async with running_gateway(tmp_path) as running:
        yield running


async def canary(rig: EnvoyRig, weight_pct: float = 100.0) -> Route:
    route = await rig.route("production")
    await rig.gateway.apply(route, 3)
    await rig.gateway.lease(route.environment, str(route.lease), Share(weight_pct), 3)
    await eventually(lambda: answers(rig, route, "new"))
    return route


async def answers(rig: EnvoyRig, route: Route, name: str) -> bool:
    try:
        return (await rig.get(route)).text == name
    except httpx.TransportError:
        return False


async def second_gateway(rig: EnvoyRig) -> EnvoyGateway:
    """The controller after a restart: on the same folder, knowing nothing else."""
    await rig.gateway.close()
    rig.gateway = EnvoyGateway(rig.home, rig.processes, SystemClock())
    await rig.gateway.start()
    await rig.gateway.lead(1)
    return rig.gateway


async def test_a_dead_controller_s_share_returns_to_stable(own: EnvoyRig) -> None:
    route = await canary(own)
    await own.gateway.close()
    assert await answers(own, route, "new")  # the lease still runs
    await eventually(lambda: answers(own, route, "old"))
    own.gateway = EnvoyGateway(own.home, own.processes, SystemClock())


async def test_a_silent_controller_s_share_returns_to_stable(own: EnvoyRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connected, but hanging: not even the end of the share is pushed."""
    route = await canary(own)
    monkeypatch.setattr(own.gateway._leases, "push", lambda: None)
    await eventually(lambda: answers(own, route, "old"))


async def test_a_restarted_controller_adopts_what_runs(own: EnvoyRig) -> None:
    route = await canary(own)
    other = await own.route("staging", candidate=False)
    await own.gateway.apply(other, 1)
    status = await own.processes.status(PROCESS)
    gateway = await second_gateway(own)
    again = await own.processes.status(PROCESS)
    assert status is not None
    assert again is not None
    assert status.pid == again.pid
    reading = await gateway.reading(route.environment)
    assert (reading.stable, reading.candidate, reading.lease) == (OLD, NEW, route.lease)
    await gateway.lease(route.environment, str(route.lease), Share(30.0), 3)

    async def holds() -> bool:
        return (await gateway.reading(route.environment)).share.candidate_pct == 30.0

    await eventually(holds)
    await gateway.apply(replace(route, candidate=None, lease=None), 3)
    await gateway.forget(route.environment, NEW)
    assert await answers(own, route, "old")
    assert await answers(own, other, "old")
    await eventually(lambda: counted(own, other, 1))


async def counted(rig: EnvoyRig, route: Route, requests: int) -> bool:
    counts = await rig.gateway.counts(route.environment)
    return OLD in counts and counts[OLD].requests >= requests


async def test_fences_outlive_the_controller(own: EnvoyRig) -> None:
    route = await canary(own)
    gateway = await second_gateway(own)
    with pytest.raises(StaleFence):
        await gateway.apply(route, 2)
    with pytest.raises(StaleFence):
        await gateway.lease(route.environment, str(route.lease), Share(50.0), 2)


async def test_envoy_alone_serves_stable_from_its_files(own: EnvoyRig) -> None:
    route = await canary(own)
    await own.gateway.close()
    await restart_envoy(own)
    await eventually(lambda: answers(own, route, "old"))
    assert await own.arms(route, 50) == {"old": 50}
    assert (await own.get(route, headers={"x-trimtab-arm": "candidate"})).text == "new"
    own.gateway = EnvoyGateway(own.home, own.processes, SystemClock())


async def test_a_restarted_envoy_takes_the_lease_up_again(own: EnvoyRig) -> None:
    route = await canary(own)
    await restart_envoy(own)

    async def renewed() -> bool:
        await own.gateway.lease(route.environment, str(route.lease), Share(100.0), 3)
        return await answers(own, route, "new")

    await eventually(renewed)


async def test_a_dead_envoy_is_told_of(own: EnvoyRig, monkeypatch: pytest.MonkeyPatch) -> None:
    route = await canary(own)
    own.processes.kill(PROCESS)
    problem = (await own.gateway.reading(route.environment)).problem
    assert problem is not None
    assert problem.code == "gateway-down"
    before = {path: path.read_bytes() for path in (own.home / "xds").rglob("*.json")}
    monkeypatch.setattr(publisher, "HOLD_TIMEOUT_S", 0.1)
    with pytest.raises(TrimtabError) as error:
        await own.gateway.apply(replace(route, candidate=None, lease=None), 3)
    assert error.value.problem.code == "gateway-down"
    assert {path: path.read_bytes() for path in (own.home / "xds").rglob("*.json")} == before


async def test_a_change_rides_over_a_restart_of_envoy(own: EnvoyRig) -> None:
    route = await canary(own)
    own.processes.kill(PROCESS)
    change = asyncio.create_task(own.gateway.apply(replace(route, candidate=None, lease=None), 3))
    await asyncio.sleep(0)
    own.processes.spawn(PROCESS)
    await change
    reading = await own.gateway.reading(route.environment)
    assert (reading.stable, reading.candidate) == (OLD, None)


async def test_a_port_taken_while_envoy_was_down(own: EnvoyRig) -> None:
    """Only the environment whose port it is suffers; it is told of, and the next change heals it."""
    route, other = await canary(own), await own.route("staging")
    await own.gateway.apply(other, 1)
    own.processes.kill(PROCESS)
    with socket.create_server((route.listen.host, route.listen.port)):
        own.processes.spawn(PROCESS)
        await eventually(lambda: answers(own, other, "old"))
        problem = (await own.gateway.reading(route.environment)).problem
        assert problem is not None
        assert problem.code == "gateway-not-listening"
        assert str(route.listen.port) in problem.message
        await own.gateway.apply(promoted(other), 1)
        assert await answers(own, other, "new")
    await own.gateway.apply(promoted(route), 3)
    assert await answers(own, route, "new")
    assert await answers(own, other, "new")


async def test_shutdown_lets_requests_end(own: EnvoyRig) -> None:
    route = await own.route("production", candidate=False)
    await own.gateway.apply(route, 1)
    request = asyncio.create_task(own.get(route, "/held"))

    async def in_flight() -> bool:
        return await own.gateway.active_requests(route.environment, OLD) == 1

    await eventually(in_flight)
    shutdown = asyncio.create_task(own.gateway.shutdown())

    async def refused() -> bool:
        try:
            await httpx.AsyncClient().get(url(route))
        except httpx.ConnectError:
            return True
        return False

    await eventually(refused)
    await own.upstream(route.stable).finish()
    assert (await request).text == "old"
    await shutdown
    assert await own.processes.status(PROCESS) is None
