"""The ports Traffic and Metrics in memory, on any Clock, with ways to make them lie and fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.core.errors import Problem, TrimtabError, failure, stale_fence
from trimtab.core.model.identity import Digest, EnvironmentId, short
from trimtab.core.model.traffic import ArmCounts, Route, TrafficReading
from trimtab.core.stats.histogram import Histogram, bucket_of
from trimtab.ports.clock import Clock
from trimtab.ports.traffic import LEASE_TTL_S


@dataclass(frozen=True, slots=True)
class _Share:
    lease: str
    weight_pct: float
    until: float


@dataclass(slots=True)
class MemoryTraffic:
    """A gateway without requests: `record` says what the arms did, or `send` shares requests out by weight.

    `problem`: what every reading and change meets until it is None again. `weight_pct_told`: what readings say of an
    environment's share instead of the truth. `taken_ports`: ports of other programs. `active`: requests in flight.
    `applied` and `granted` keep every instruction that was carried out, oldest first.
    """

    clock: Clock
    problem: Problem | None = None
    weight_pct_told: dict[EnvironmentId, float] = field(default_factory=dict)
    taken_ports: set[int] = field(default_factory=set)
    active: dict[tuple[EnvironmentId, Digest], int] = field(default_factory=dict)
    applied: list[Route] = field(default_factory=list)
    granted: list[tuple[EnvironmentId, str, float]] = field(default_factory=list)
    _routes: dict[EnvironmentId, Route] = field(default_factory=dict)
    _fences: dict[EnvironmentId, int] = field(default_factory=dict)
    _shares: dict[EnvironmentId, _Share] = field(default_factory=dict)
    _counts: dict[EnvironmentId, dict[Digest, ArmCounts]] = field(default_factory=dict)
    _owed: dict[EnvironmentId, float] = field(default_factory=dict)

    # --- Traffic -----------------------------------------------------------------------------------------------------

    async def apply(self, route: Route, fence: int) -> None:
        self._check_fence(route.environment, fence)
        self._check_up()
        others = [held for environment, held in self._routes.items() if environment != route.environment]
        if route.listen.port in self.taken_ports or route.listen in [held.listen for held in others]:
            raise failure("port-taken", f"port {route.listen.port} is already used", "choose another port")
        self._routes[route.environment] = route
        self.applied.append(route)
        share = self._shares.get(route.environment)
        if share is not None and share.lease != route.lease:
            del self._shares[route.environment]

    async def lease(self, environment: EnvironmentId, lease: str, weight_pct: float, fence: int) -> None:
        self._check_fence(environment, fence)
        self._shares[environment] = _Share(lease, weight_pct, self.clock.now() + LEASE_TTL_S)
        self.granted.append((environment, lease, weight_pct))

    async def reading(self, environment: EnvironmentId) -> TrafficReading:
        if self.problem is not None:
            return TrafficReading(problem=self.problem)
        route = self._routes.get(environment)
        if route is None:
            return TrafficReading()
        backends = [route.stable, *([route.candidate] if route.candidate else [])]
        return TrafficReading(
            stable=route.stable.release,
            candidate=route.candidate.release if route.candidate else None,
            lease=route.lease if route.candidate else None,
            candidate_weight_pct=self.weight_pct_told.get(environment, self.weight_pct(environment)),
            endpoints={backend.release: tuple(sorted(backend.endpoints)) for backend in backends},
        )

    async def active_requests(self, environment: EnvironmentId, release: Digest) -> int:
        self._check_up()
        return self.active.get((environment, release), 0)

    async def forget(self, environment: EnvironmentId, release: Digest) -> None:
        self._check_up()
        route = self._routes.get(environment)
        if route is not None and release in [route.stable.release, route.candidate and route.candidate.release]:
            raise failure("release-in-use", f"release {short(release)} still gets traffic in {environment}")
        self._counts.get(environment, {}).pop(release, None)

    async def remove(self, environment: EnvironmentId) -> None:
        self._check_up()
        for kept in (self._routes, self._shares, self._counts):
            kept.pop(environment, None)

    # --- Metrics -----------------------------------------------------------------------------------------------------

    async def counts(self, environment: EnvironmentId) -> Mapping[Digest, ArmCounts]:
        return dict(self._counts.get(environment, {}))

    # --- for tests ---------------------------------------------------------------------------------------------------

    def weight_pct(self, environment: EnvironmentId) -> float:
        """The candidate's true share now."""
        route, share = self._routes.get(environment), self._shares.get(environment)
        if route is None or route.candidate is None or share is None:
            return 0.0
        holds = share.lease == route.lease and self.clock.now() < share.until
        return share.weight_pct if holds else 0.0

    def record(
        self,
        environment: EnvironmentId,
        release: Digest,
        *,
        requests: int,
        errors: int = 0,
        latencies_ms: Sequence[float] = (),
    ) -> None:
        """Count requests to a release; without latencies each took 10 ms, with fewer than requests they repeat."""
        durations = [latencies_ms[i % len(latencies_ms)] if latencies_ms else 10.0 for i in range(requests)]
        buckets: dict[int, int] = {}
        for duration_ms in durations:
            bucket = bucket_of(duration_ms * 1000)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        before = self._counts.setdefault(environment, {}).get(release, ArmCounts(epoch="memory"))
        latency = before.latency.plus(Histogram(buckets))
        self._counts[environment][release] = ArmCounts(
            before.epoch, before.requests + requests, before.errors + errors, latency, latency
        )

    def send(self, environment: EnvironmentId, requests: int) -> Mapping[Digest, int]:
        """Requests come in: shared out by weight (what is owed to the candidate is kept to a fraction) and counted."""
        route = self._routes.get(environment)
        if route is None:
            raise TrimtabError(Problem("not-listening", f"nothing listens for {environment}"))
        share = self.weight_pct(environment) / 100
        owed = self._owed.get(environment, 0.0) + requests * share
        to_candidate = min(requests, int(owed + 1e-9))
        self._owed[environment] = owed - to_candidate if share else 0.0
        split = {route.stable.release: requests - to_candidate}
        if route.candidate is not None:
            split[route.candidate.release] = to_candidate
        for release, count in split.items():
            if count:
                self.record(environment, release, requests=count)
        return split

    def _check_fence(self, environment: EnvironmentId, fence: int) -> None:
        held = self._fences.get(environment, 0)
        if fence < held:
            raise stale_fence(f"gateway, {environment}", held, fence)
        self._fences[environment] = fence

    def _check_up(self) -> None:
        if self.problem is not None:
            raise TrimtabError(self.problem)
