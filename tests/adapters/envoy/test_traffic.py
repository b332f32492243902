"""What requests see of the gateway: shares, arms, visitors who stay, streams that are not cut."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from tests.adapters.envoy.rig import EnvoyRig, eventually, promoted, url
from trimtab.adapters.envoy.address import ensure_free
from trimtab.core.errors import TrimtabError
from trimtab.core.model.specification import StickySpec
from trimtab.core.model.traffic import Backend, Endpoint, Route
from trimtab.testing.traffic_contract import NEW, OLD

pytestmark = pytest.mark.asyncio(loop_scope="module")

COOKIE = StickySpec("cookie", "trimtab-arm")
USER = StickySpec("header", "x-user")


async def test_the_share_of_requests_is_the_share_that_was_granted(rig: EnvoyRig) -> None:
    route = await rig.route("share")
    await rig.gateway.apply(route, 1)
    assert await rig.arms(route, 100) == {"old": 100}
    await rig.hold(route, 25.0)
    # Six standard deviations of a binomial with n = 600, p = 0.25: once in 500 million runs it is outside.
    assert abs((await rig.arms(route, 600))["new"] - 150) < 6 * (600 * 0.25 * 0.75) ** 0.5
    await rig.hold(route, 100.0)
    assert await rig.arms(route, 100) == {"new": 100}
    await rig.hold(route, 0.0)
    assert await rig.arms(route, 100) == {"old": 100}


async def test_a_header_picks_the_arm(rig: EnvoyRig) -> None:
    route = await rig.route("header")
    await rig.gateway.apply(route, 1)
    for arm, answer in (("candidate", "new"), ("stable", "old"), ("other", "old")):
        assert (await rig.get(route, headers={"x-trimtab-arm": arm})).text == answer
    await rig.gateway.apply(replace(route, candidate=None, lease=None), 1)
    assert (await rig.get(route, headers={"x-trimtab-arm": "candidate"})).text == "old"


@pytest.mark.parametrize("request_id", [None, 'mine; not=a, "cookie', "1d1a3b4c-0000-4000-8000-000000000000"])
async def test_a_visitor_stays_from_the_first_request_on(rig: EnvoyRig, request_id: str | None) -> None:
    """By a cookie that the gateway sets, whatever request id the client sends."""
    route = await rig.route(f"visitor-{len(request_id or '')}", sticky=COOKIE)
    await rig.gateway.apply(route, 1)
    await rig.hold(route, 50.0)
    sent = {"x-request-id": request_id} if request_id else {}
    seen = set()
    for _ in range(30):
        first = await rig.client.get(url(route), headers=sent)
        cookie = first.headers["set-cookie"].partition(";")[0]
        rig.client.cookies.clear()
        for _ in range(2):
            again = await rig.client.get(url(route), headers={**sent, "cookie": f"other=1; {cookie}; more=2"})
            assert again.text == first.text
            assert "set-cookie" not in again.headers
        seen.add(first.text)
    assert seen == {"old", "new"}


async def test_no_visitor_is_lost_while_the_share_grows(rig: EnvoyRig) -> None:
    route = await rig.route("ramp", sticky=USER)
    await rig.gateway.apply(route, 1)

    async def on_candidate() -> set[int]:
        answers = await asyncio.gather(*(rig.get(route, headers={"x-user": f"user-{n}"}) for n in range(80)))
        return {n for n, answer in enumerate(answers) if answer.text == "new"}

    before: set[int] = set()
    for weight_pct in (0.0, 10.0, 40.0, 80.0, 100.0):
        await rig.hold(route, weight_pct)
        now = await on_candidate()
        assert before <= now
        before = now
    assert before == set(range(80))


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line:
            yield line


async def test_a_stream_survives_promotion_and_the_end_of_its_release(rig: EnvoyRig) -> None:
    route = await rig.route("stream")
    await rig.gateway.apply(route, 1)
    old = rig.upstream(route.stable)
    async with rig.client.stream("GET", url(route, "/stream")) as response:
        lines = _lines(response)
        assert await anext(lines) == "data: old 0"
        assert await rig.gateway.active_requests(route.environment, OLD) == 1
        await rig.gateway.apply(promoted(route), 1)
        await rig.gateway.forget(route.environment, OLD)
        assert (await rig.get(route)).text == "new"
        # Each event comes through before the next one is sent: nothing is buffered on the way.
        for number in (1, 2):
            await old.tick()
            assert await anext(lines) == f"data: old {number}"
        await old.finish()
        assert [line async for line in lines] == ["data: done"]


async def test_a_stream_survives_a_change_of_the_listener(rig: EnvoyRig) -> None:
    route = await rig.route("relisten")
    await rig.gateway.apply(route, 1)
    async with rig.client.stream("GET", url(route, "/stream")) as response:
        lines = _lines(response)
        assert await anext(lines) == "data: old 0"
        moved = replace(route, listen=rig.free_address(), sticky=COOKIE)
        await rig.gateway.apply(moved, 1)
        assert (await rig.get(moved)).text == "old"
        await rig.upstream(route.stable).finish()
        assert [line async for line in lines] == ["data: done"]


async def test_web_sockets_pass(rig: EnvoyRig) -> None:
    route = await rig.route("socket")
    await rig.gateway.apply(route, 1)
    reader, writer = await asyncio.open_connection(route.listen.host, route.listen.port)
    key = base64.b64encode(b"0123456789abcdef").decode()
    writer.write(
        f"GET /socket HTTP/1.1\r\nhost: shop\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    for frame in (b"\x81\x05hello", b"\x81\x05again"):
        writer.write(frame)
        assert await reader.readexactly(len(frame)) == frame
    assert await rig.gateway.active_requests(route.environment, OLD) == 1
    writer.close()


async def test_no_request_fails_while_routes_change(rig: EnvoyRig) -> None:
    """Thirty promotions, there and back, under steady load."""
    route = await rig.route("flips")
    await rig.gateway.apply(route, 1)
    stop = asyncio.Event()

    async def load() -> list[int]:
        codes = []
        while not stop.is_set():
            codes.append((await rig.get(route)).status_code)
        return codes

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(load()) for _ in range(8)]
        backends = [route.stable, route.candidate]
        for turn in range(30):
            stable, leaving = backends[turn % 2], backends[1 - turn % 2]
            assert stable is not None
            assert leaving is not None
            await rig.gateway.apply(Route(route.environment, route.listen, stable), 1)
            await rig.gateway.forget(route.environment, leaving.arm)
        stop.set()
    codes = [code for worker in workers for code in worker.result()]
    assert len(codes) > 100
    assert set(codes) == {200}


async def test_endpoints_change_without_a_failed_request(rig: EnvoyRig) -> None:
    route = await rig.route("endpoints", candidate=False)
    await rig.gateway.apply(route, 1)
    second = await rig.instance(NEW)
    await rig.gateway.apply(replace(route, stable=Backend(OLD, (*route.stable.endpoints, second))), 1)
    assert set(await rig.arms(route, 60)) == {"old", "new"}
    await rig.gateway.apply(replace(route, stable=Backend(OLD, (second,))), 1)
    assert await rig.arms(route, 20) == {"new": 20}


async def test_an_instance_that_restarts_is_waited_for(rig: EnvoyRig) -> None:
    route = await rig.route("bridge", candidate=False)
    await rig.gateway.apply(route, 1)
    upstream = rig.upstream(route.stable)
    await upstream.stop()
    request = asyncio.create_task(rig.get(route))
    stat = "cluster." + f"shop.bridge.{OLD.removeprefix('sha256:')[:12]}.upstream_rq_retry"

    async def tried_again() -> bool:
        return int((await rig.gateway._admin.stats([stat])).get(stat, 0)) > 0

    await eventually(tried_again)
    await upstream.start(route.stable.endpoints[0].port)
    response = await request
    assert (response.status_code, response.text) == (200, "old")


async def test_a_request_that_reached_an_instance_is_not_sent_again(rig: EnvoyRig) -> None:
    route = await rig.route("once", candidate=False)
    await rig.gateway.apply(route, 1)
    upstream = rig.upstream(route.stable)
    headers = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "5"}
    assert (await rig.client.post(url(route, "/fail"), headers=headers)).status_code == 500
    assert upstream.requests == 1


async def test_clients_may_speak_http_2_without_tls(rig: EnvoyRig) -> None:
    route = await rig.route("h2c", candidate=False)
    await rig.gateway.apply(route, 1)
    reader, writer = await asyncio.open_connection(route.listen.host, route.listen.port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
    frame = await reader.readexactly(9)
    assert frame[3] == 4  # Envoy's own SETTINGS frame
    writer.close()


async def test_applying_what_is_there_writes_nothing(rig: EnvoyRig) -> None:
    route = await rig.route("idempotent")
    await rig.gateway.apply(route, 1)

    def files() -> dict[str, int]:
        return {str(path): path.stat().st_ino for path in (rig.home / "xds").rglob("*.json")}

    before = files()
    await rig.gateway.apply(route, 1)
    assert files() == before


async def test_a_port_taken_after_the_look_is_still_named(rig: EnvoyRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may come in between: Envoy refuses, and the route before it stays in force."""
    looks: list[Endpoint] = []

    def blind_once(listen: Endpoint) -> None:
        looks.append(listen)
        if len(looks) > 1:
            ensure_free(listen)

    route = await rig.route("race")
    await rig.gateway.apply(route, 1)
    before = {path: path.read_bytes() for path in (rig.home / "xds").rglob("*.json")}
    monkeypatch.setattr("trimtab.adapters.envoy.gateway.ensure_free", blind_once)
    taken = rig.unshared_address()
    with pytest.raises(TrimtabError) as refused:
        await rig.gateway.apply(replace(promoted(route), listen=taken), 1)
    assert refused.value.problem.code == "port-taken"
    assert {path: path.read_bytes() for path in (rig.home / "xds").rglob("*.json")} == before
    await eventually(lambda: _answers(rig, route, "old"))
    assert (await rig.gateway.reading(route.environment)).candidate == NEW


async def _answers(rig: EnvoyRig, route: Route, name: str) -> bool:
    return (await rig.get(route)).text == name
