"""The ports Traffic and Metrics on one Envoy for all environments."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from trimtab.adapters.envoy import resources, routes
from trimtab.adapters.envoy.access_log import ACCESS_LOG, ANSWERS_LOG, Document
from trimtab.adapters.envoy.address import ensure_free, is_free
from trimtab.adapters.envoy.admin import Admin
from trimtab.adapters.envoy.answers import Answers
from trimtab.adapters.envoy.binary import executable
from trimtab.adapters.envoy.bootstrap import (
    ADMIN_SOCKET,
    CLUSTERS_FILE,
    LEASE_SOCKET,
    LISTENERS_FILE,
    arguments,
    bootstrap,
)
from trimtab.adapters.envoy.files import Files
from trimtab.adapters.envoy.hand import Hand
from trimtab.adapters.envoy.lease import Granted, LeaseServer
from trimtab.adapters.envoy.meter import Meter
from trimtab.adapters.envoy.names import cluster_name, environment_name, routes_file
from trimtab.adapters.envoy.publisher import (
    Publisher,
    Update,
    clusters_update,
    endpoints_update,
    listeners_update,
    routes_update,
)
from trimtab.adapters.envoy.routes import Arms
from trimtab.adapters.envoy.sockets import SocketFolder
from trimtab.core.errors import Problem, TrimtabError, failure, stale_fence
from trimtab.core.model.identity import ArmId, EnvironmentId, short
from trimtab.core.model.release import canonical_json
from trimtab.core.model.traffic import ArmCounts, Backend, Endpoint, PairCounts, Route, Share, TrafficReading
from trimtab.ports.clock import Clock
from trimtab.ports.processes import Processes, ProcessSpec

PROCESS = "gateway"
"""The name under which Envoy runs."""

_BOOTSTRAP_FILE = "bootstrap.json"
_START_TIMEOUT_S = 15.0
_POLL_S = 0.02
_HOUSEKEEPING_S = 1.0
_LOG_TAIL_BYTES = 8192

log = logging.getLogger(__name__)


class EnvoyGateway:
    """Traffic and Metrics.

    Everything it knows is in the files that Envoy reads: another object on the same folder adopts a running Envoy with
    all its environments. Of several on one folder, the one that took the `lead` last has its way.
    """

    def __init__(self, home: Path, processes: Processes, clock: Clock) -> None:
        """`home`: the gateway's folder, created if missing."""
        self._home = home
        self._processes = processes
        self._clock = clock
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._hand = Hand(home)
        self._files = Files(home, self._hand)
        self._files.create_folders()
        self._sockets = SocketFolder(home)
        self._admin = Admin(self._sockets.path(ADMIN_SOCKET))
        self._publisher = Publisher(self._files, self._admin, clock, self._last_refusal)
        epoch = f"{clock.now():.6f}"
        self._meter = Meter(home / ACCESS_LOG, epoch, self._admin.reopen_logs)
        self._answers = Answers(home / ANSWERS_LOG, epoch, self._admin.reopen_logs)
        self._leases = LeaseServer(self._lease_layer)
        self._arms: dict[EnvironmentId, Arms] = {}
        self._changing = asyncio.Lock()
        self._housekeeping: asyncio.Task[None] | None = None

    # --- its life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start Envoy unless it runs. Raises `TrimtabError` (`envoy-missing`, `gateway-down`)."""
        for update in (listeners_update([]), clusters_update([])):
            if not self._files.exists(update.file.path):
                self._files.replace(update.file.path, update.file.content)
        # A changed bootstrap (of a newer Trimtab) takes hold when Envoy is started next.
        self._files.restore(_BOOTSTRAP_FILE, canonical_json(bootstrap()))
        await self._start_envoy()

    async def lead(self, fence: int) -> None:
        if self._hand.fence == fence and self._hand.is_held():
            return
        if self._hand.take(fence):
            self._files.forget_fences()
        self._arms.clear()
        self._adopt()
        await self._stop_leading()
        await self._serve_leases(fence)
        self._housekeeping = asyncio.create_task(self._keep_house())

    async def _serve_leases(self, fence: int) -> None:
        """Each hand has a socket of its own, and Envoy a name for the newest: a server that ends takes its own away."""
        own = f"lease-{fence}.sock"
        await self._leases.start(self._sockets.path(own))
        with self._hand.writing():
            name = self._home / f"{LEASE_SOCKET}.new"
            name.unlink(missing_ok=True)
            name.symlink_to(own)
            name.rename(self._home / LEASE_SOCKET)

    async def _stop_leading(self) -> None:
        """Renew no share and count nothing any more."""
        housekeeping, self._housekeeping = self._housekeeping, None
        if housekeeping is not None and housekeeping is not asyncio.current_task():
            housekeeping.cancel()
            with suppress(asyncio.CancelledError):
                await housekeeping
        await self._leases.close()

    async def close(self) -> None:
        """Let go. Envoy goes on serving; shares that were granted end by their own time."""
        await self._stop_leading()
        self._admin.close()
        self._meter.close()
        self._answers.close()
        self._sockets.close()

    async def shutdown(self, grace_s: float = 10.0) -> None:
        """Stop Envoy: accept nothing new, let requests in flight end for up to `grace_s`, then end the process."""
        with suppress(TrimtabError):
            await self._admin.stop_accepting()
            gauges = [f"http.{environment_name(environment)}.downstream_rq_active" for environment in self._arms]
            deadline = self._clock.now() + grace_s
            while self._clock.now() < deadline and any(map(int, (await self._admin.stats(gauges)).values())):
                await self._clock.sleep(_POLL_S)
        await self._processes.stop(PROCESS)
        await self._processes.forget(PROCESS)

    def _adopt(self) -> None:
        """Learn from the files what is routed."""
        for document in self._files.resources(CLUSTERS_FILE):
            environment, arm = resources.arm_of(document)
            told = self._files.resources(routes_file(environment))
            if told:
                self._arms[environment] = routes.arms_of(told[0])
            self._watch(environment, self._arms.get(environment, Arms(arm)), [arm])

    async def _start_envoy(self) -> None:
        status = await self._processes.status(PROCESS)
        if status is not None and status.phase in ("exited", "lost"):
            await self._processes.forget(PROCESS)
        spec = ProcessSpec(
            name=PROCESS,
            argv=arguments(executable(), _BOOTSTRAP_FILE),
            cwd=str(self._home),
            restart=True,
            stop_timeout_s=5.0,
        )
        status = await self._processes.start(spec)
        if status.problem is not None:
            raise TrimtabError(status.problem)
        deadline = self._clock.now() + _START_TIMEOUT_S
        while not await self._is_live():
            if self._clock.now() > deadline:
                raise failure(
                    "gateway-down",
                    f"the gateway (Envoy) did not start within {_START_TIMEOUT_S:g} s",
                    self._last_refusal() or f"see {self._processes.log_path(PROCESS)}",
                )
            await self._clock.sleep(_POLL_S)

    async def _is_live(self) -> bool:
        try:
            return await self._admin.is_live()
        except TrimtabError:
            return False

    async def _keep_house(self) -> None:
        """Count and rotate the access log even when nobody asks for counts: the disk must not fill. Ends when another
        controller has taken the lead: Envoy has to turn to that one."""
        while True:
            await self._clock.sleep(_HOUSEKEEPING_S)
            if not self._hand.is_held():
                log.warning("another controller has taken over the gateway")
                await self._stop_leading()
                return
            with suppress(OSError):
                await self._meter.catch_up()
                await self._answers.catch_up()

    def _last_refusal(self) -> str:
        """The newest reason in Envoy's log for a refused configuration; empty when there is none."""
        try:
            with self._processes.log_path(PROCESS).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line for line in reversed(lines) if "rejected" in line or "[critical]" in line), "")

    # --- Traffic -----------------------------------------------------------------------------------------------------

    async def apply(self, route: Route, fence: int) -> None:
        async with self._changing:
            self._check_fence(route.environment, fence)
            await self._ensure_address(route)
            upstream, downstream = self._upstream(route), await self._downstream(route)
            before = [(update.file.path, self._files.read(update.file.path)) for update in (*upstream, *downstream)]
            arms = routes.arms(route)
            self._watch(route.environment, arms, arms.every)
            try:
                # Clusters before the routes that need them, so no request meets a route to nowhere.
                await self._publisher.publish(upstream)
                await self._publisher.publish(downstream)
                await self._publisher.until(lambda: self._listens(route.environment, route.listen))
            except TrimtabError:
                for path, content in reversed(before):
                    self._files.restore(path, content)
                # Whoever took the port after it was looked at is the better reason.
                await self._ensure_address(route)
                raise
            self._arms[route.environment] = arms
            # A share that was granted before its route came takes hold, one whose route is gone goes.
            self._leases.push()

    async def lease(self, environment: EnvironmentId, lease: str, share: Share, fence: int) -> None:
        self._check_fence(environment, fence)
        self._leases.grant(environment, lease, share)

    async def reading(self, environment: EnvironmentId) -> TrafficReading:
        name = environment_name(environment)
        try:
            document = await self._admin.route_configuration(name)
            listening = await self._admin.listening(name)
            runtime = await self._admin.runtime()
            hosts = await self._admin.hosts(name)
        except TrimtabError as error:
            return TrafficReading(problem=error.problem)
        if document is None or listening is None:
            return TrafficReading(problem=self._why_silent(environment))
        arms = routes.arms_of(document)
        serving = {
            arm: [host for host in hosts.get(cluster_name(environment, arm), []) if not host.is_draining]
            for arm in arms.every
        }
        return TrafficReading(
            stable=arms.stable,
            candidate=arms.candidate,
            lease=arms.lease,
            share=routes.share_in_force(environment, arms, runtime),
            endpoints={
                arm: tuple(sorted(resources.endpoint_of(host.address) for host in found))
                for arm, found in serving.items()
            },
            segments=arms.segments,
            mirror=arms.mirror,
        )

    async def active_requests(
        self, environment: EnvironmentId, arm: ArmId, endpoints: Collection[Endpoint] = ()
    ) -> int:
        if endpoints:
            hosts = (await self._admin.hosts(environment_name(environment))).get(cluster_name(environment, arm), [])
            return sum(host.active_requests for host in hosts if resources.endpoint_of(host.address) in endpoints)
        prefix = f"cluster.{cluster_name(environment, arm)}"
        stats = await self._admin.stats([f"{prefix}.upstream_rq_active", f"{prefix}.upstream_rq_pending_active"])
        return sum(map(int, stats.values()))

    async def forget(self, environment: EnvironmentId, arm: ArmId) -> None:
        async with self._changing:
            arms = self._arms.get(environment)
            if arms is not None and arm in arms.every:
                raise failure(
                    "release-in-use",
                    f"release {short(arm)} still gets traffic in {environment}",
                    "route the environment to another release first",
                    environment.object_id,
                )
            await self._drop_clusters([cluster_name(environment, arm)])

    async def free_ports(self, host: str, ports: Collection[int]) -> frozenset[int]:
        told = {resources.endpoint_of(one["address"]).port for one in self._files.resources(LISTENERS_FILE)}
        wanted = [Endpoint(host, port) for port in ports if port not in told]
        return frozenset(endpoint.port for endpoint in wanted if is_free(endpoint))

    async def remove(self, environment: EnvironmentId) -> None:
        async with self._changing:
            name = environment_name(environment)
            listeners = self._files.resources(LISTENERS_FILE)
            await self._publisher.publish([listeners_update(one for one in listeners if one["name"] != name)])
            self._files.delete(routes_file(environment))
            self._arms.pop(environment, None)
            self._leases.push()
            clusters = self._files.resources(CLUSTERS_FILE)
            await self._drop_clusters(
                [document["name"] for document in clusters if resources.arm_of(document)[0] == environment]
            )

    # --- Metrics -----------------------------------------------------------------------------------------------------

    async def counts(self, environment: EnvironmentId) -> Mapping[ArmId, ArmCounts]:
        """As the port says; an arm that was forgotten takes its counts with it."""
        await self._meter.catch_up()
        return self._meter.counts(environment, self._clock.now())

    async def pairs(self, environment: EnvironmentId) -> PairCounts:
        await self._answers.catch_up()
        return self._answers.pairs(environment)

    # --- details -----------------------------------------------------------------------------------------------------

    def _check_fence(self, environment: EnvironmentId, fence: int) -> None:
        if not self._hand.is_held():
            raise stale_fence(f"gateway, {environment}", fence + 1, fence)
        held = max(self._hand.fence or 0, self._files.fence(environment))
        if fence < held:
            raise stale_fence(f"gateway, {environment}", held, fence)
        if fence > held:
            self._files.raise_fence(environment, fence)

    async def _ensure_address(self, route: Route) -> None:
        """Raise unless the address is free or the environment's own."""
        name = environment_name(route.environment)
        for document in self._files.resources(LISTENERS_FILE):
            if resources.endpoint_of(document["address"]) == route.listen and document["name"] != name:
                raise failure(
                    "port-taken",
                    f"port {route.listen.port} already belongs to the environment {document['name'].replace('.', '/')}",
                    "give one of them another port",
                    f"{route.listen.host}:{route.listen.port}",
                )
        try:
            is_ours = await self._listens(route.environment, route.listen)
        except TrimtabError:
            return  # Envoy is down: if it is not back in time, that is the problem to speak of
        if not is_ours:
            ensure_free(route.listen)

    async def _listens(self, environment: EnvironmentId, listen: Endpoint) -> bool:
        address = await self._admin.listening(environment_name(environment))
        return address is not None and resources.endpoint_of(address) == listen

    def _upstream(self, route: Route) -> list[Update]:
        """Endpoints and clusters. Clusters that are there stay: only `forget` and `remove` take one away."""
        backends: list[Backend] = [route.stable, *([route.candidate] if route.candidate else []), *route.others]
        ours = [resources.cluster(route.environment, backend.arm) for backend in backends]
        names = {document["name"] for document in ours}
        others = [document for document in self._files.resources(CLUSTERS_FILE) if document["name"] not in names]
        endpoints = [
            endpoints_update(route.environment, backend.arm, resources.load_assignment(route.environment, backend))
            for backend in backends
        ]
        return [*endpoints, clusters_update([*others, *ours])]

    async def _downstream(self, route: Route) -> list[Update]:
        """Routes and, unless ours is in force, listeners: those of others may be refused (their port was taken when
        Envoy was started), which is no reason to refuse this route."""
        ours = resources.listener(route.environment, route.listen, route.sticky)
        others = [one for one in self._files.resources(LISTENERS_FILE) if one["name"] != ours["name"]]
        told = routes_update(route.environment, routes.route_configuration(route))
        listeners = listeners_update([*others, ours])
        if self._files.read(LISTENERS_FILE) == listeners.file.content:
            with suppress(TrimtabError):
                if await self._listens(route.environment, route.listen):
                    return [told]
        return [told, listeners]

    def _watch(self, environment: EnvironmentId, arms: Arms, names: Iterable[ArmId]) -> None:
        """Count what these arms do."""
        for name in names:
            self._meter.watch(cluster_name(environment, name), environment, name, arms.measure)
            self._answers.watch(cluster_name(environment, name), environment)
        self._meter.watch_users(environment, arms.candidate if arms.by_user else None)
        self._answers.compare(environment, arms.candidate, arms.mirror)

    async def _drop_clusters(self, names: list[str]) -> None:
        kept: list[Document] = [one for one in self._files.resources(CLUSTERS_FILE) if one["name"] not in names]
        await self._publisher.publish([clusters_update(kept)])
        for name in names:
            self._files.delete(f"xds/eds/{name}.json")
            self._meter.forget(name)
            self._answers.forget(name)

    def _lease_layer(self, every: Mapping[EnvironmentId, Granted]) -> Mapping[str, int]:
        """The shares as runtime keys. A share whose lease the environment's route does not name grants nothing."""
        layer: dict[str, int] = {}
        for environment, granted in every.items():
            arms = self._arms.get(environment)
            if arms is not None and arms.lease == granted.lease:
                layer.update(routes.lease_keys(environment, arms, granted.share))
        return layer

    def _why_silent(self, environment: EnvironmentId) -> Problem | None:
        """Why Envoy does not serve the environment; None when it was never told to."""
        listener = resources.named(self._files.resources(LISTENERS_FILE), environment_name(environment))
        if listener is None:
            return None
        listen = resources.endpoint_of(listener["address"])
        return Problem(
            "gateway-not-listening",
            f"the gateway does not listen for {environment} on {listen.host}:{listen.port}",
            "see whether another program uses the port; deploying again makes the gateway try again",
            environment.object_id,
        )
