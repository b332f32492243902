"""What the steps of a rollout ask of the gateway, on a real Envoy: mirrors, segments, experiments, users, draining."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from tests.adapters.envoy.rig import EnvoyRig, eventually, url
from trimtab.core.model.identity import BASELINE, arm
from trimtab.core.model.specification import StickySpec
from trimtab.core.model.strategy import Match, MirrorSpec
from trimtab.core.model.traffic import Backend, PairCounts, Route, Share
from trimtab.testing.traffic_contract import NEW, OLD

pytestmark = pytest.mark.asyncio(loop_scope="module")

FULL = Share(0.0, {}, 100.0)


async def mirrored(rig: EnvoyRig, name: str, spec: MirrorSpec, share: Share = FULL, **changes: object) -> Route:
    route = replace(await rig.route(name), mirror=spec, **changes)  # type: ignore[arg-type]
    await rig.gateway.apply(route, 1)
    await rig.grant(route, share)
    return route


async def compared(rig: EnvoyRig, route: Route, pairs: int) -> PairCounts:
    async def are_there() -> bool:
        return (await rig.gateway.pairs(route.environment)).compared >= pairs

    await eventually(are_there)
    return await rig.gateway.pairs(route.environment)


async def test_copies_reach_the_candidate_and_nobody_gets_its_answers(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "copies", MirrorSpec())
    assert await rig.arms(route, 30) == Counter(old=30)

    async def copied() -> bool:
        counts = await rig.gateway.counts(route.environment)
        return NEW in counts and counts[NEW].requests == 30

    await eventually(copied)
    counts = await rig.gateway.counts(route.environment)
    assert counts[OLD].requests == 30
    assert (sum(counts[OLD].arrivals.values()), sum(counts[NEW].arrivals.values())) == (30, 0)
    assert rig.upstream(route.candidate).requests == 30


async def test_a_copy_says_that_it_is_one_and_a_request_cannot(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "marked-copies", MirrorSpec())
    await rig.get(route, headers={"x-trimtab-copy": "true"})

    async def copied() -> bool:
        return rig.upstream(route.candidate).requests == 1

    await eventually(copied)
    (request,), (copy,) = rig.upstream(route.stable).heads, rig.upstream(route.candidate).heads
    assert b"x-trimtab-copy" not in request
    assert b"x-trimtab-copy: true" in copy


async def test_every_request_says_which_release_it_is_for(rig: EnvoyRig) -> None:
    """So does a copy. What a client says of it is overwritten."""
    route = await mirrored(rig, "named-releases", MirrorSpec())
    lie = {"x-trimtab-release": "sha256:mine"}
    await rig.get(route, headers=lie)

    async def copied() -> bool:
        return rig.upstream(route.candidate).requests == 1

    await eventually(copied)
    await rig.get(route, headers=lie | {"x-trimtab-arm": "candidate"})
    await rig.get(route, headers=lie | {"x-trimtab-arm": "stable"})
    await rig.gateway.apply(replace(route, candidate=None, lease=None, mirror=None), 1)
    await rig.get(route, headers=lie)
    assert told(rig.upstream(route.stable).heads) == [OLD, OLD, OLD]
    assert told(rig.upstream(route.candidate).heads) == [NEW, NEW]


def told(heads: list[bytes]) -> list[str]:
    lines = [line for head in heads for line in head.decode().split("\r\n")]
    return [line.partition(": ")[2] for line in lines if line.startswith("x-trimtab-release:")]


async def test_a_candidate_that_fails_harms_nobody_while_it_only_gets_copies(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "failing-copies", MirrorSpec())
    await rig.upstream(route.candidate).stop()
    for _ in range(10):
        assert (await rig.get(route)).status_code == 200

    async def counted() -> bool:
        counts = await rig.gateway.counts(route.environment)
        return NEW in counts and counts[NEW].errors == 10

    await eventually(counted)


async def test_requests_that_the_candidate_gets_are_not_copied(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "half-copied", MirrorSpec(), Share(50.0, {}, 100.0))
    served = await rig.arms(route, 100)

    async def settled() -> bool:
        counts = await rig.gateway.counts(route.environment)
        return NEW in counts and counts[NEW].requests == 100

    await eventually(settled)
    assert rig.upstream(route.stable).requests == served["old"]
    assert rig.upstream(route.candidate).requests == 100


async def test_a_mirror_ends_with_its_lease(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "mirror-ends", MirrorSpec())
    await rig.grant(route, Share())
    await rig.send(route, 10)
    await rig.send(route, 10)
    assert rig.upstream(route.candidate).requests == 0


async def test_answers_that_differ_are_found_with_an_example(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "compared", MirrorSpec(compare="exact"))
    await rig.send(route, 10)
    pairs = await compared(rig, route, 10)
    assert (pairs.compared, pairs.different) == (10, 10)
    assert pairs.examples[-1] == "GET /: other bytes"


async def test_answers_of_the_same_kind_are_the_same_by_status(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "by-status", MirrorSpec(compare="status"))
    await rig.send(route, 5)
    assert (await rig.get(route, "/fail")).status_code == 500
    pairs = await compared(rig, route, 6)
    assert (pairs.compared, pairs.different) == (6, 0)


async def test_users_by_cookie_stay_users_when_they_are_mirrored(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "mirrored-users", MirrorSpec(compare="status"), sticky=StickySpec("cookie", "visitor"))
    for _ in range(5):
        await rig.get(route, headers={"cookie": "a=b; visitor=ann"})

    async def counted() -> bool:
        counts = await rig.gateway.counts(route.environment)
        return NEW in counts and counts[NEW].requests == counts[OLD].requests == 5

    await eventually(counted)
    counts = await rig.gateway.counts(route.environment)
    for name in (OLD, NEW):
        assert counts[name].users.slowest_after.total - counts[name].users.slowest_before.total == 1


async def test_a_stream_is_passed_on_while_its_answer_is_kept(rig: EnvoyRig) -> None:
    route = await mirrored(rig, "kept-stream", MirrorSpec(compare="exact"))
    upstream = rig.upstream(route.stable)
    async with asyncio.timeout(10), rig.client.stream("GET", url(route, "/stream")) as answer:
        lines = answer.aiter_lines()
        for sent in range(5):
            assert await anext(lines) == f"data: old {sent}"
            await anext(lines)
            await upstream.tick()
        await upstream.finish()
        await rig.upstream(route.candidate).finish()
    assert (await compared(rig, route, 1)).different == 1


async def test_who_belongs_to_a_segment_takes_part_and_nobody_else(rig: EnvoyRig) -> None:
    segments = (
        (Match("header", "x-beta", "exact", "1"), Match("query", "version", "prefix", "2.")),
        (Match("cookie", "staff"),),
        (Match("header", "x-team", "regex", "red|blue"),),
    )
    route = replace(await rig.route("segments"), segments=segments)
    await rig.gateway.apply(route, 1)
    await rig.hold(route, 100.0)
    inside: list[tuple[str, dict[str, str]]] = [
        ("/?version=2.1", {"x-beta": "1"}),
        ("/", {"cookie": "a=b; staff=yes"}),
        ("/", {"x-team": "blue"}),
    ]
    outside: list[tuple[str, dict[str, str]]] = [
        ("/", {}),
        ("/", {"x-beta": "1"}),
        ("/?version=3.1", {"x-beta": "1"}),
        ("/", {"cookie": "nostaff=yes"}),
        ("/", {"x-team": "blueish"}),
    ]
    assert [(await rig.get(route, path, headers)).text for path, headers in inside] == ["new"] * 3
    assert [(await rig.get(route, path, headers)).text for path, headers in outside] == ["old"] * 5

    async def counted() -> bool:
        return NEW in await rig.gateway.counts(route.environment)

    await eventually(counted)
    counts = await rig.gateway.counts(route.environment)
    assert (counts[NEW].requests, OLD in counts) == (3, False)


async def test_an_experiment_gives_every_arm_its_share(rig: EnvoyRig) -> None:
    short, baseline = arm(NEW, "short"), arm(OLD, BASELINE)
    others = tuple([Backend(name, (await rig.instance(name),)) for name in (short, baseline)])
    route = replace(await rig.route("experiment"), others=others)
    await rig.gateway.apply(route, 1)
    await rig.grant(route, Share(20.0, {short: 20.0, baseline: 20.0}))
    served = await rig.arms(route, 600)
    assert served.keys() == {"old", "new", "short", "baseline"}
    assert all(60 < number < 200 for name, number in served.items() if name != "old")


@pytest.mark.parametrize("kind", ["cookie", "header"])
async def test_users_are_counted_by_what_makes_them_stay(rig: EnvoyRig, kind: str) -> None:
    sticky = StickySpec(kind, "x-visitor")  # type: ignore[arg-type]
    route = await rig.route(f"users-{kind}", sticky=sticky)
    await rig.gateway.apply(route, 1)
    await rig.hold(route, 50.0)
    for _ in range(3):
        for user in range(20):
            await rig.get(route, headers={"cookie": f"x-visitor=u{user}", "x-visitor": f"u{user}"})

    async def counted() -> bool:
        counts = await rig.gateway.counts(route.environment)
        return sum(arm.requests for arm in counts.values()) == 60

    await eventually(counted)
    counts = (await rig.gateway.counts(route.environment)).values()
    assert sum(sum(arm.arrivals.values()) for arm in counts) == 20


async def test_a_new_visitor_and_their_cookie_are_one_user(rig: EnvoyRig) -> None:
    route = await rig.route("new-visitors", sticky=StickySpec("cookie", "visitor"))
    await rig.gateway.apply(route, 1)
    await rig.hold(route, 50.0)
    for _ in range(5):
        rig.client.cookies.clear()
        first = await rig.get(route)
        assert "set-cookie" in first.headers
        again = await rig.get(route)
        assert (again.text, "set-cookie" in again.headers) == (first.text, False)

    async def counted() -> bool:
        counts = await rig.gateway.counts(route.environment)
        return sum(arm.requests for arm in counts.values()) == 10

    await eventually(counted)
    counts = (await rig.gateway.counts(route.environment)).values()
    assert sum(sum(arm.arrivals.values()) for arm in counts) == 5


async def test_instances_that_drain_finish_and_get_nothing_new(rig: EnvoyRig) -> None:
    route = await rig.route("drains", candidate=False)
    leaving = await rig.instance(OLD)
    more = [await rig.instance(OLD)]
    both = replace(route, stable=replace(route.stable, endpoints=(leaving,)))
    await rig.gateway.apply(both, 1)
    held = asyncio.create_task(rig.get(route, "/held"))

    async def under_way() -> bool:
        return await rig.gateway.active_requests(route.environment, OLD, [leaving]) == 1

    await eventually(under_way)
    draining = replace(route.stable, draining=(leaving, *more))
    await rig.gateway.apply(replace(route, stable=draining), 1)
    before = rig.upstreams[leaving].requests
    assert await rig.arms(route, 20) == Counter(old=20)
    assert rig.upstreams[leaving].requests == before
    assert await rig.gateway.active_requests(route.environment, OLD, [leaving]) == 1
    assert await rig.gateway.active_requests(route.environment, OLD, route.stable.endpoints) == 0
    await rig.upstreams[leaving].finish()
    assert (await held).status_code == 200
