"""What every Traffic with its Metrics promises, one function for each promise.

`TRAFFIC_CHECKS` holds them all; each takes a `TrafficRig`, fresh or shared: a check uses an environment of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from trimtab.core.errors import StaleFence, TrimtabError
from trimtab.core.model.identity import BASELINE, ArmId, EnvironmentId, arm
from trimtab.core.model.release import digest_of
from trimtab.core.model.strategy import Match, MirrorSpec
from trimtab.core.model.traffic import NO_SHARE, Backend, Endpoint, Route, Share
from trimtab.ports.traffic import LEASE_TTL_S, Metrics, Traffic

OLD, NEW = digest_of(b"old release"), digest_of(b"new release")
_PATIENCE_S = 5.0
_POLL_S = 0.05


class TrafficRig(Protocol):
    """The gateway under examination and the world around it."""

    @property
    def traffic(self) -> Traffic: ...

    @property
    def metrics(self) -> Metrics: ...

    def free_address(self) -> Endpoint:
        """Where an environment may listen."""
        ...

    def taken_address(self) -> Endpoint:
        """Where another program listens."""
        ...

    async def instance(self, arm: ArmId) -> Endpoint:
        """An instance that answers every request."""
        ...

    async def send(self, route: Route, requests: int) -> None:
        """That many requests to the environment, one after the other, all answered."""
        ...

    async def elapse(self, seconds: float) -> None:
        """Let time pass on the gateway's clock."""
        ...


TrafficCheck = Callable[[TrafficRig], Awaitable[None]]


async def _route(rig: TrafficRig, name: str, *, candidate: bool = True) -> Route:
    return Route(
        environment=EnvironmentId("contract", name),
        listen=rig.free_address(),
        stable=Backend(OLD, (await rig.instance(OLD),)),
        candidate=Backend(NEW, (await rig.instance(NEW),)) if candidate else None,
        lease=f"rollout/contract/{name}/1" if candidate else None,
    )


def _promoted(route: Route) -> Route:
    assert route.candidate is not None
    return replace(route, stable=route.candidate, candidate=None, lease=None)


async def _eventually(rig: TrafficRig, condition: Callable[[], Awaitable[bool]], what: str) -> None:
    waited_s = 0.0
    while not await condition():
        assert waited_s < _PATIENCE_S, f"not within {_PATIENCE_S:g} s: {what}"
        await rig.elapse(_POLL_S)
        waited_s += _POLL_S


async def _until_weight(rig: TrafficRig, route: Route, weight_pct: float) -> None:
    async def holds() -> bool:
        reading = await rig.traffic.reading(route.environment)
        return reading.share.is_close_to(Share(weight_pct))

    await _eventually(rig, holds, f"a share of {weight_pct:g} %")


async def _grant(rig: TrafficRig, route: Route, weight_pct: float, fence: int = 1) -> None:
    assert route.lease is not None
    await rig.traffic.lease(route.environment, route.lease, Share(weight_pct), fence)


async def _refusal(attempt: Awaitable[None]) -> TrimtabError:
    """The error with which the attempt was refused."""
    try:
        await attempt
    except TrimtabError as error:
        return error
    raise AssertionError("the instruction was carried out")


async def check_a_route_is_read_back(rig: TrafficRig) -> None:
    route = await _route(rig, "read-back")
    await rig.traffic.apply(route, 1)
    reading = await rig.traffic.reading(route.environment)
    assert reading.problem is None
    assert (reading.stable, reading.candidate, reading.lease) == (OLD, NEW, route.lease)
    assert reading.share == NO_SHARE
    assert route.candidate is not None
    assert reading.endpoints == {OLD: route.stable.endpoints, NEW: route.candidate.endpoints}


async def check_applying_again_changes_nothing(rig: TrafficRig) -> None:
    route = await _route(rig, "again")
    await rig.traffic.apply(route, 1)
    first = await rig.traffic.reading(route.environment)
    await rig.traffic.apply(route, 1)
    assert await rig.traffic.reading(route.environment) == first


async def check_an_unknown_environment_reads_empty(rig: TrafficRig) -> None:
    unknown = EnvironmentId("contract", "unknown")
    reading = await rig.traffic.reading(unknown)
    assert (reading.stable, reading.candidate, reading.problem) == (None, None, None)
    assert await rig.traffic.active_requests(unknown, OLD) == 0
    assert await rig.metrics.counts(unknown) == {}


async def check_a_lease_grants_a_share_and_takes_it_away(rig: TrafficRig) -> None:
    route = await _route(rig, "share")
    await rig.traffic.apply(route, 1)
    for weight_pct in (0.5, 25.0, 100.0, 0.0):
        await _grant(rig, route, weight_pct)
        await _until_weight(rig, route, weight_pct)


async def check_a_lease_that_is_renewed_holds(rig: TrafficRig) -> None:
    route = await _route(rig, "renewed")
    await rig.traffic.apply(route, 1)
    await _grant(rig, route, 30.0)
    await _until_weight(rig, route, 30.0)
    for _ in range(4):
        await rig.elapse(LEASE_TTL_S / 3)
        await _grant(rig, route, 30.0)
        assert (await rig.traffic.reading(route.environment)).share.candidate_pct == 30.0


async def check_a_lease_that_is_not_renewed_ends(rig: TrafficRig) -> None:
    """Also while another environment's lease is renewed."""
    silent, lively = await _route(rig, "silent"), await _route(rig, "lively")
    for route in (silent, lively):
        await rig.traffic.apply(route, 1)
        await _grant(rig, route, 40.0)
        await _until_weight(rig, route, 40.0)
    for _ in range(3):
        await rig.elapse(0.3 * LEASE_TTL_S)
        await _grant(rig, lively, 40.0)
    # It ends by its own time, not only when the other one is renewed next.
    await _until_weight(rig, silent, 0.0)
    assert (await rig.traffic.reading(lively.environment)).share.candidate_pct == 40.0


async def check_a_lease_the_route_does_not_name_grants_nothing(rig: TrafficRig) -> None:
    route = await _route(rig, "unnamed")
    await rig.traffic.apply(route, 1)
    await rig.traffic.lease(route.environment, "rollout/contract/unnamed/99", Share(50.0), 1)
    await rig.elapse(0.2)
    assert (await rig.traffic.reading(route.environment)).share == NO_SHARE


async def check_an_experiment_shares_among_several_arms(rig: TrafficRig) -> None:
    plain = await _route(rig, "experiment")
    variant, baseline = arm(NEW, "short"), arm(OLD, BASELINE)
    others = tuple([Backend(name, (await rig.instance(name),)) for name in (variant, baseline)])
    route = replace(plain, others=others)
    await rig.traffic.apply(route, 1)
    wanted = Share(10.0, {variant: 10.0, baseline: 10.0})
    assert route.lease is not None
    await rig.traffic.lease(route.environment, route.lease, wanted, 1)

    async def holds() -> bool:
        return (await rig.traffic.reading(route.environment)).share.is_close_to(wanted)

    await _eventually(rig, holds, "10 % for each arm")
    reading = await rig.traffic.reading(route.environment)
    assert set(reading.endpoints) == {OLD, NEW, variant, baseline}
    assert (await _refusal(rig.traffic.forget(route.environment, variant))).problem.code == "release-in-use"
    await rig.traffic.apply(plain, 1)
    await rig.traffic.forget(route.environment, variant)


async def check_a_mirror_and_segments_are_read_back(rig: TrafficRig) -> None:
    mirror = MirrorSpec(50.0, "json", ("usage.total_tokens",))
    segments = ((Match("header", "x-beta", "exact", "1"), Match("query", "debug")), (Match("cookie", "staff"),))
    route = replace(await _route(rig, "mirror"), mirror=mirror, segments=segments)
    await rig.traffic.apply(route, 1)
    reading = await rig.traffic.reading(route.environment)
    assert (reading.mirror, reading.segments, reading.share) == (mirror, segments, NO_SHARE)
    wanted = Share(0.0, {}, 50.0)
    assert route.lease is not None
    await rig.traffic.lease(route.environment, route.lease, wanted, 1)

    async def holds() -> bool:
        return (await rig.traffic.reading(route.environment)).share.is_close_to(wanted)

    await _eventually(rig, holds, "50 % mirrored")
    await rig.elapse(LEASE_TTL_S)
    await _until_weight(rig, route, 0.0)


async def check_draining_instances_are_not_told_as_serving(rig: TrafficRig) -> None:
    route = await _route(rig, "draining", candidate=False)
    leaving = await rig.instance(OLD)
    await rig.traffic.apply(replace(route, stable=replace(route.stable, draining=(leaving,))), 1)
    reading = await rig.traffic.reading(route.environment)
    assert reading.endpoints == {OLD: route.stable.endpoints}
    assert await rig.traffic.active_requests(route.environment, OLD, [leaving]) == 0
    await rig.send(route, 3)


async def check_promotion_moves_everything(rig: TrafficRig) -> None:
    route = await _route(rig, "promotion")
    await rig.traffic.apply(route, 1)
    await _grant(rig, route, 50.0)
    await _until_weight(rig, route, 50.0)
    await rig.traffic.apply(_promoted(route), 1)
    reading = await rig.traffic.reading(route.environment)
    assert (reading.stable, reading.candidate, reading.lease) == (NEW, None, None)
    assert reading.share == NO_SHARE


async def check_who_leads_has_its_way(rig: TrafficRig) -> None:
    route, other = await _route(rig, "lead"), await _route(rig, "other")
    await rig.traffic.apply(route, 2)
    await rig.traffic.lead(5)
    await rig.traffic.lead(5)
    for stale in (
        rig.traffic.lead(4),
        rig.traffic.apply(_promoted(route), 4),
        rig.traffic.apply(other, 4),
        _grant(rig, route, 50.0, fence=4),
    ):
        assert isinstance(await _refusal(stale), StaleFence)
    await rig.traffic.apply(other, 5)
    await _grant(rig, route, 50.0, fence=5)


async def check_a_stale_fence_is_refused(rig: TrafficRig) -> None:
    route = await _route(rig, "fence")
    await rig.traffic.apply(route, 7)
    await rig.traffic.apply(route, 7)
    for stale in (rig.traffic.apply(_promoted(route), 6), _grant(rig, route, 50.0, fence=6)):
        assert isinstance(await _refusal(stale), StaleFence)
    await _grant(rig, route, 0.0, fence=8)
    reading = await rig.traffic.reading(route.environment)
    assert (reading.stable, reading.share) == (OLD, NO_SHARE)


async def check_a_taken_port_is_named_and_nothing_changes(rig: TrafficRig) -> None:
    route, other = await _route(rig, "port"), await _route(rig, "other-port")
    await rig.traffic.apply(route, 1)
    before = await rig.traffic.reading(route.environment)
    for refused in (replace(_promoted(route), listen=rig.taken_address()), replace(other, listen=route.listen)):
        problem = (await _refusal(rig.traffic.apply(refused, 1))).problem
        assert problem.code == "port-taken", problem
        assert str(refused.listen.port) in problem.message
    assert await rig.traffic.reading(route.environment) == before
    assert (await rig.traffic.reading(other.environment)).stable is None
    await rig.send(route, 1)


async def check_a_release_in_use_is_not_forgotten(rig: TrafficRig) -> None:
    route = await _route(rig, "forget")
    await rig.traffic.apply(route, 1)
    assert (await _refusal(rig.traffic.forget(route.environment, NEW))).problem.code == "release-in-use"
    await rig.traffic.apply(replace(route, candidate=None, lease=None), 1)
    for _ in range(2):
        await rig.traffic.forget(route.environment, NEW)
    assert await rig.traffic.active_requests(route.environment, NEW) == 0
    await rig.traffic.apply(route, 1)
    assert (await rig.traffic.reading(route.environment)).candidate == NEW


async def check_a_removed_environment_is_gone(rig: TrafficRig) -> None:
    route = await _route(rig, "removed")
    await rig.traffic.apply(route, 1)
    for _ in range(2):
        await rig.traffic.remove(route.environment)
    assert (await rig.traffic.reading(route.environment)).stable is None
    await rig.traffic.apply(route, 1)
    await rig.send(route, 1)


async def check_free_ports_are_those_that_nobody_has(rig: TrafficRig) -> None:
    route = await _route(rig, "ports")
    await rig.traffic.apply(route, 1)
    free, taken = rig.free_address(), rig.taken_address()
    assert await rig.traffic.free_ports(free.host, [route.listen.port, taken.port, free.port]) == {free.port}
    await rig.traffic.remove(route.environment)

    async def is_free() -> bool:
        return await rig.traffic.free_ports(route.listen.host, [route.listen.port]) == {route.listen.port}

    await _eventually(rig, is_free, "the port of an environment that was removed is free")


async def check_requests_are_counted_for_their_release(rig: TrafficRig) -> None:
    route = await _route(rig, "counts")
    await rig.traffic.apply(route, 1)
    await rig.send(route, 5)

    async def counted(release: ArmId, requests: int) -> bool:
        counts = (await rig.metrics.counts(route.environment)).get(release)
        return counts is not None and counts.requests >= requests

    await _eventually(rig, lambda: counted(OLD, 5), "5 requests counted")
    first = await rig.metrics.counts(route.environment)
    assert set(first) == {OLD}
    assert (first[OLD].requests, first[OLD].errors) == (5, 0)
    assert first[OLD].latency.total == first[OLD].recent.total == 5
    await rig.traffic.apply(_promoted(route), 1)
    await rig.send(route, 3)
    await _eventually(rig, lambda: counted(NEW, 3), "3 requests counted")
    second = await rig.metrics.counts(route.environment)
    assert (second[OLD].requests, second[NEW].requests) == (5, 3)
    assert second[OLD].epoch == second[NEW].epoch == first[OLD].epoch != ""


TRAFFIC_CHECKS: tuple[TrafficCheck, ...] = (
    check_a_route_is_read_back,
    check_applying_again_changes_nothing,
    check_an_unknown_environment_reads_empty,
    check_a_lease_grants_a_share_and_takes_it_away,
    check_a_lease_that_is_renewed_holds,
    check_a_lease_that_is_not_renewed_ends,
    check_a_lease_the_route_does_not_name_grants_nothing,
    check_an_experiment_shares_among_several_arms,
    check_a_mirror_and_segments_are_read_back,
    check_draining_instances_are_not_told_as_serving,
    check_promotion_moves_everything,
    check_a_stale_fence_is_refused,
    check_a_taken_port_is_named_and_nothing_changes,
    check_a_release_in_use_is_not_forgotten,
    check_a_removed_environment_is_gone,
    check_free_ports_are_those_that_nobody_has,
    check_requests_are_counted_for_their_release,
    check_who_leads_has_its_way,  # the last: fences only grow
)
