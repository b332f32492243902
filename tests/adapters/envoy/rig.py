"""One real gateway with real instances, for the tests of a module."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from tests.adapters.envoy.processes import DirectProcesses
from tests.adapters.envoy.upstream import Upstream, free_address
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.envoy.gateway import PROCESS, EnvoyGateway
from trimtab.core.model.identity import BASELINE, ArmId, EnvironmentId, arm
from trimtab.core.model.specification import StickySpec
from trimtab.core.model.traffic import Backend, Endpoint, Route, Share
from trimtab.ports.traffic import Metrics, Traffic
from trimtab.testing.traffic_contract import NEW, OLD

PATIENCE_S = 10.0
_NAMES = {OLD: "old", NEW: "new", arm(NEW, "short"): "short", arm(OLD, BASELINE): "baseline"}


@dataclass
class EnvoyRig:
    """A `TrafficRig` on a real Envoy."""

    gateway: EnvoyGateway
    processes: DirectProcesses
    home: Path
    client: httpx.AsyncClient
    upstreams: dict[Endpoint, Upstream] = field(default_factory=dict)
    _taken: list[socket.socket] = field(default_factory=list)

    @property
    def traffic(self) -> Traffic:
        return self.gateway

    @property
    def metrics(self) -> Metrics:
        return self.gateway

    def free_address(self) -> Endpoint:
        return free_address()

    def taken_address(self) -> Endpoint:
        server = socket.create_server(("127.0.0.1", 0), reuse_port=True)
        self._taken.append(server)
        host, port = server.getsockname()
        return Endpoint(host, port)

    def unshared_address(self) -> Endpoint:
        """Where another program listens that shares its port with nobody."""
        server = socket.create_server(("127.0.0.1", 0))
        self._taken.append(server)
        host, port = server.getsockname()
        return Endpoint(host, port)

    async def instance(self, arm: ArmId) -> Endpoint:
        upstream = Upstream(_NAMES[arm])
        endpoint = await upstream.start()
        self.upstreams[endpoint] = upstream
        return endpoint

    async def send(self, route: Route, requests: int) -> None:
        for _ in range(requests):
            (await self.get(route)).raise_for_status()

    async def elapse(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def route(self, name: str, *, sticky: StickySpec | None = None, candidate: bool = True) -> Route:
        """A route with an instance each, not applied yet."""
        return Route(
            environment=EnvironmentId("shop", name),
            listen=self.free_address(),
            stable=Backend(OLD, (await self.instance(OLD),)),
            candidate=Backend(NEW, (await self.instance(NEW),)) if candidate else None,
            lease=f"rollout/shop/{name}/1" if candidate else None,
            sticky=sticky,
        )

    def upstream(self, backend: Backend | None) -> Upstream:
        assert backend is not None
        return self.upstreams[backend.endpoints[0]]

    async def get(self, route: Route, path: str = "/", headers: Mapping[str, str] | None = None) -> httpx.Response:
        return await self.client.get(url(route, path), headers=headers)

    async def arms(self, route: Route, requests: int) -> Counter[str]:
        """Which instance answered how many of that many requests."""
        slots = asyncio.Semaphore(16)

        async def one() -> str:
            async with slots:
                return (await self.get(route)).text

        return Counter(await asyncio.gather(*(one() for _ in range(requests))))

    async def hold(self, route: Route, weight_pct: float) -> None:
        """Grant the share and wait until Envoy holds it."""
        assert route.lease is not None
        await self.grant(route, Share(weight_pct))

    async def grant(self, route: Route, share: Share) -> None:
        """Grant the whole share and wait until Envoy holds it."""
        assert route.lease is not None
        await self.gateway.lease(route.environment, route.lease, share, 1)

        async def holds() -> bool:
            return (await self.gateway.reading(route.environment)).share.is_close_to(share)

        await eventually(holds)

    async def close(self) -> None:
        await self.client.aclose()
        try:
            await self.gateway.shutdown(grace_s=0)
            await self.gateway.close()
        finally:
            # Also when a test failed half-way: no process may outlive it.
            self.processes.kill_all()
        for upstream in self.upstreams.values():
            await upstream.stop()
        for server in self._taken:
            server.close()


def promoted(route: Route) -> Route:
    assert route.candidate is not None
    return replace(route, stable=route.candidate, candidate=None, lease=None)


def url(route: Route, path: str = "/") -> str:
    return f"http://{route.listen.host}:{route.listen.port}{path}"


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for the condition; a test that waits in vain fails."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running_gateway(folder: Path) -> AsyncIterator[EnvoyRig]:
    # A path that no unix socket's address could hold.
    home = folder / ("a-long-folder-name-" * 6) / "gateway"
    processes = DirectProcesses(folder / "logs")
    gateway = EnvoyGateway(home, processes, SystemClock())
    rig = EnvoyRig(gateway, processes, home, httpx.AsyncClient(timeout=20))
    try:
        await gateway.start()
        await gateway.lead(1)
        yield rig
    finally:
        await rig.close()


async def restart_envoy(rig: EnvoyRig) -> None:
    """Kill Envoy and start it again, as its supervisor would."""
    rig.processes.kill(PROCESS)
    rig.processes.spawn(PROCESS)
