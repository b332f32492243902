"""The ports Traffic and Metrics in memory, on any Clock, with ways to make them lie and fail."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trimtab.core.errors import Problem, TrimtabError, failure, stale_fence
from trimtab.core.model.identity import ArmId, EnvironmentId, short
from trimtab.core.model.traffic import (
    ARRIVAL_SLOT_S,
    NO_SHARE,
    ArmCounts,
    Backend,
    Endpoint,
    PairCounts,
    Route,
    Share,
    TrafficReading,
)
from trimtab.core.stats.histogram import Histogram, bucket_of
from trimtab.ports.clock import Clock
from trimtab.ports.traffic import LEASE_TTL_S


@dataclass(frozen=True, slots=True)
class _Granted:
    lease: str
    share: Share
    until: float


@dataclass(slots=True)
class MemoryTraffic:
    """A gateway without requests: `record` says what the arms did, or `send` shares requests out by weight.

    `problem`: what every reading and change meets until it is None again. `share_told`: what readings say of an
    environment's share instead of the truth. `taken_ports`: ports of other programs. `active`: requests in flight.
    `compared`: what came of comparing mirrored answers. `applied` and `granted` keep every instruction that was
    carried out, oldest first.
    """

    clock: Clock
    problem: Problem | None = None
    share_told: dict[EnvironmentId, Share] = field(default_factory=dict)
    taken_ports: set[int] = field(default_factory=set)
    active: dict[tuple[EnvironmentId, ArmId], int] = field(default_factory=dict)
    compared: dict[EnvironmentId, PairCounts] = field(default_factory=dict)
    applied: list[Route] = field(default_factory=list)
    granted: list[tuple[EnvironmentId, str, Share]] = field(default_factory=list)
    _routes: dict[EnvironmentId, Route] = field(default_factory=dict)
    _lead: int = 0
    _fences: dict[EnvironmentId, int] = field(default_factory=dict)
    _shares: dict[EnvironmentId, _Granted] = field(default_factory=dict)
    _counts: dict[EnvironmentId, dict[ArmId, ArmCounts]] = field(default_factory=dict)
    _owed: dict[tuple[EnvironmentId, ArmId], float] = field(default_factory=dict)

    # --- Traffic -----------------------------------------------------------------------------------------------------

    async def lead(self, fence: int) -> None:
        if fence < self._lead:
            raise stale_fence("gateway", self._lead, fence)
        self._lead = fence

    async def apply(self, route: Route, fence: int) -> None:
        self._check_fence(route.environment, fence)
        self._check_up()
        others = [held for environment, held in self._routes.items() if environment != route.environment]
        if route.listen.port in self.taken_ports or route.listen in [held.listen for held in others]:
            raise failure("port-taken", f"port {route.listen.port} is already used", "choose another port")
        self._routes[route.environment] = route
        self.applied.append(route)
        granted = self._shares.get(route.environment)
        if granted is not None and granted.lease != route.lease:
            del self._shares[route.environment]

    async def lease(self, environment: EnvironmentId, lease: str, share: Share, fence: int) -> None:
        self._check_fence(environment, fence)
        self._shares[environment] = _Granted(lease, share, self.clock.now() + LEASE_TTL_S)
        self.granted.append((environment, lease, share))

    async def reading(self, environment: EnvironmentId) -> TrafficReading:
        if self.problem is not None:
            return TrafficReading(problem=self.problem)
        route = self._routes.get(environment)
        if route is None:
            return TrafficReading()
        return TrafficReading(
            stable=route.stable.arm,
            candidate=route.candidate.arm if route.candidate else None,
            lease=route.lease if route.candidate else None,
            share=self.share_told.get(environment, self.share(environment)),
            endpoints={backend.arm: tuple(sorted(backend.endpoints)) for backend in _backends(route)},
            segments=route.segments,
            mirror=route.mirror,
        )

    async def active_requests(
        self, environment: EnvironmentId, arm: ArmId, endpoints: Collection[Endpoint] = ()
    ) -> int:
        del endpoints  # who has the arm's requests is not told apart
        self._check_up()
        return self.active.get((environment, arm), 0)

    async def forget(self, environment: EnvironmentId, arm: ArmId) -> None:
        self._check_up()
        route = self._routes.get(environment)
        if route is not None and arm in [backend.arm for backend in _backends(route)]:
            raise failure("release-in-use", f"release {short(arm)} still gets traffic in {environment}")
        self._counts.get(environment, {}).pop(arm, None)

    async def free_ports(self, host: str, ports: Collection[int]) -> frozenset[int]:
        del host  # there is only one
        held = {route.listen.port for route in self._routes.values()}
        return frozenset(ports) - held - self.taken_ports

    async def remove(self, environment: EnvironmentId) -> None:
        self._check_up()
        for kept in (self._routes, self._shares, self._counts):
            kept.pop(environment, None)

    # --- Metrics -----------------------------------------------------------------------------------------------------

    async def counts(self, environment: EnvironmentId) -> Mapping[ArmId, ArmCounts]:
        return dict(self._counts.get(environment, {}))

    async def pairs(self, environment: EnvironmentId) -> PairCounts:
        return self.compared.get(environment, PairCounts(epoch="memory"))

    # --- for tests ---------------------------------------------------------------------------------------------------

    def share(self, environment: EnvironmentId) -> Share:
        """The true shares now."""
        route, granted = self._routes.get(environment), self._shares.get(environment)
        if route is None or route.candidate is None or granted is None:
            return NO_SHARE
        if granted.lease != route.lease or self.clock.now() >= granted.until:
            return NO_SHARE
        others = {backend.arm: granted.share.others_pct.get(backend.arm, 0.0) for backend in route.others}
        return Share(granted.share.candidate_pct, others, granted.share.mirror_pct if route.mirror else 0.0)

    def record(
        self,
        environment: EnvironmentId,
        arm: ArmId,
        *,
        requests: int,
        errors: int = 0,
        latencies_ms: Sequence[float] = (),
    ) -> None:
        """Count requests to an arm; without latencies each took 10 ms, with fewer than requests they repeat."""
        buckets: dict[int, int] = {} if latencies_ms else {bucket_of(10_000): requests}
        for i in range(requests if latencies_ms else 0):
            bucket = bucket_of(latencies_ms[i % len(latencies_ms)] * 1000)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        before = self._counts.setdefault(environment, {}).get(arm, ArmCounts(epoch="memory"))
        latency, slot = before.latency.plus(Histogram(buckets)), int(self.clock.now() // ARRIVAL_SLOT_S)
        self._counts[environment][arm] = replace(
            before,
            requests=before.requests + requests,
            errors=before.errors + errors,
            latency=latency,
            recent=latency,
            arrivals={**before.arrivals, slot: before.arrivals.get(slot, 0) + requests},
        )

    def send(self, environment: EnvironmentId, requests: int) -> Mapping[ArmId, int]:
        """Requests come in: shared out by weight (what is owed to each arm is kept to a fraction) and counted."""
        split = self.split(environment, requests)
        for arm, count in split.items():
            if count:
                self.record(environment, arm, requests=count)
        return split

    def split(self, environment: EnvironmentId, requests: int) -> dict[ArmId, int]:
        """How so many requests would be shared out; mirrored copies come on top."""
        route = self._routes.get(environment)
        if route is None:
            raise TrimtabError(Problem("not-listening", f"nothing listens for {environment}"))
        share = self.share(environment)
        found = {arm: self._due(environment, arm, requests * pct / 100) for arm, pct in share.others_pct.items()}
        if route.candidate is not None:
            name = route.candidate.arm
            found[name] = self._due(environment, name, requests * share.candidate_pct / 100)
        found[route.stable.arm] = max(0, requests - sum(found.values()))
        if route.candidate is not None and share.mirror_pct:
            copies = found[route.stable.arm] * share.mirror_pct / 100
            found[route.candidate.arm] += self._due(environment, "mirror", copies)
        return found

    def _due(self, environment: EnvironmentId, arm: ArmId, requests: float) -> int:
        owed = self._owed.get((environment, arm), 0.0) + requests if requests else 0.0
        self._owed[environment, arm] = owed - int(owed + 1e-9)
        return int(owed + 1e-9)

    def _check_fence(self, environment: EnvironmentId, fence: int) -> None:
        held = max(self._lead, self._fences.get(environment, 0))
        if fence < held:
            raise stale_fence(f"gateway, {environment}", held, fence)
        self._fences[environment] = fence

    def _check_up(self) -> None:
        if self.problem is not None:
            raise TrimtabError(self.problem)


def _backends(route: Route) -> list[Backend]:
    return [route.stable, *([route.candidate] if route.candidate else []), *route.others]
