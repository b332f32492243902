"""HTTP endpoints that do not answer as they should: each has a sentence that says what to do, and no secrets in it."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import replace
from typing import Any

import pytest

from tests.adapters.measurements.endpoint import Endpoint, Reply, Request, as_json
from tests.adapters.measurements.rigs import SINCE_AGO_S, found, problem_of, watch_of
from trimtab.adapters.measurements import MeasurementReader
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.core.model.specification import SourceSpec
from trimtab.testing.clock import ManualClock
from trimtab.testing.measurements_contract import CANDIDATE, STABLE

TOKEN = {"TOKEN": "a-very-secret-token"}


def of(url: str, **headers: str) -> SourceSpec:
    return SourceSpec("json", url, {"bad": "refunds"}, headers)


async def test_a_hanging_endpoint_is_given_up_and_nobody_waits_for_it(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: Reply(hangs=True)
    clock = ManualClock()
    reader = MeasurementReader(clock, {})
    watch = watch_of(of(endpoint.url), "rate", clock.now() - SINCE_AGO_S)
    assert await reader.latest(watch) == {"rate": Measurement()}
    await endpoint.came.wait()
    assert await reader.latest(watch) == {"rate": Measurement()}
    clock.advance(watch.metrics[0].source.timeout_s)
    await endpoint.gone.wait()
    problem = (await reader.latest(watch))["rate"].problem
    assert problem is not None
    assert str(problem) == (
        "rate, bad of the candidate: there was no answer within 30 s"
        " (see that the source is well, or give it more time: `timeout`)"
    )
    endpoint.answer = lambda _: as_json({"refunds": 2})
    clock.advance(watch.metrics[0].source.every_s)
    while (measurement := (await reader.latest(watch))["rate"]).problem is not None:
        await asyncio.sleep(0.002)
    assert measurement.arms == {CANDIDATE: ArmMeasure(2), STABLE: ArmMeasure(2)}
    await reader.close()


async def test_closing_does_not_wait_for_a_hanging_endpoint(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: Reply(hangs=True)
    reader = MeasurementReader(ManualClock(), {})
    await reader.latest(watch_of(of(endpoint.url), "rate", 0))
    await endpoint.came.wait()
    await reader.close()
    await endpoint.gone.wait()


async def test_a_flood_is_cut_off(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: Reply(b" " * 65536, floods=True)
    problem = await problem_of(of(endpoint.url))
    assert problem.code == "metric-flood"
    assert endpoint.sent_bytes < 64 * 1024**2  # what is cut off may be on its way already
    assert problem.message == "the answer is larger than 1024 KiB and was cut off"


async def test_redirects_are_not_followed(endpoint: Endpoint) -> None:
    async with Endpoint() as other:
        endpoint.answer = lambda _: Reply(status=302, headers={"Location": f"{other.url}/there?key=secret"})
        problem = await problem_of(of(f"{endpoint.url}/here", Authorization="Bearer ${TOKEN}"), variables=TOKEN)
        assert not other.requests
    assert problem.message == f"{endpoint.url}/here redirects to {other.url}/there, which is not followed"
    assert problem.hint == "give that URL itself"


@pytest.mark.parametrize(
    ("reply", "message", "hint"),
    [
        (
            Reply(b"<html>Sign in"),
            "the answer is not JSON: it begins with `<html>Sign in`",
            "the URL is that of an API",
        ),
        (Reply(b""), "the answer is not JSON: it is empty", "the URL is that of an API"),
        (Reply(b"\xff\xfe\x00"), "the answer is not JSON: it begins with", "the URL is that of an API"),
        (Reply(b"[" * 100_000), "the answer is not JSON", "the URL is that of an API"),
        (as_json({"other": 1}), "the answer has no `refunds`", "at `$` there is `other`"),
        (as_json({"refunds": "7"}), "a text came instead of a number", "give a number, not a text"),
        (as_json({"refunds": None}), "nothing came instead of a number", ""),
        (as_json({"refunds": True}), "true or false came instead of a number", ""),
        (as_json({"refunds": [1]}), "a list came instead of a number", ""),
        (as_json({"refunds": -1}), "a total cannot be negative, and this is -1", "a total that only grows"),
        (as_json({"refunds": float("nan")}), "NaN came instead of a number", "ask for the counts themselves"),
        (as_json({"refunds": float("inf")}), "an infinite number came instead of a number", ""),
        (as_json({"refunds": 10**30}), "a total of 1e+30 is too large to count with", ""),
        (Reply(b"no such report", 404), "answered with HTTP status 404: no such report", "see the URL"),
        (as_json({"error": "no such index"}, 500), "status 500: no such index", "see the log of that server"),
        (as_json({"message": "slow down"}, 429), "status 429: slow down", "set `every` to more"),
        (Reply(b"", 401), "answered with HTTP status 401", "see the credentials in `headers`"),
        (Reply(b"{}", 204), "answered with HTTP status 204", ""),
    ],
)
async def test_what_is_no_number_has_a_sentence(endpoint: Endpoint, reply: Reply, message: str, hint: str) -> None:
    endpoint.answer = lambda _: reply
    problem = await problem_of(of(endpoint.url))
    assert message in problem.message
    assert hint in problem.hint
    assert problem.where == "rate, bad of the candidate"


async def test_long_answers_are_not_repeated_in_full(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: Reply(b"stack trace " * 1000, 500)
    assert len((await problem_of(of(endpoint.url))).message) <= 400


async def test_a_refused_connection(unused_tcp_port: int) -> None:
    problem = await problem_of(of(f"http://127.0.0.1:{unused_tcp_port}/refunds?key=secret"))
    assert problem.message == f"http://127.0.0.1:{unused_tcp_port}/refunds refuses connections"
    assert problem.hint == "see that it runs, and its port"


async def test_a_name_that_cannot_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    problem = await problem_of(of("http://metrics.example/refunds"))
    assert problem.message == "the name metrics.example cannot be resolved"


async def test_no_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        problem = await problem_of(of(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert problem.message.startswith("no TLS connection to 127.0.0.1: ")
    assert "SSL_CERT_FILE" in problem.hint


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port/", "https://\u0000"])
async def test_a_url_that_is_none(url: str) -> None:
    problem = await problem_of(of(url))
    assert problem.code == "metric-query"
    assert problem.message.startswith("the URL cannot be used")


async def test_headers_are_sent_and_never_shown(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.answer = lambda request: Reply(f"bad token: {request.headers['authorization']}".encode(), 403)
    problem = await problem_of(of(endpoint.url, Authorization="Bearer ${TOKEN}"), variables=TOKEN)
    assert endpoint.requests[0].headers["authorization"] == f"Bearer {TOKEN['TOKEN']}"
    assert "bad token: ***" in problem.message
    assert TOKEN["TOKEN"] not in f"{problem}{caplog.text}"


async def test_a_user_in_the_url_is_sent_and_never_shown(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.answer = lambda _: Reply(b"not you, p@ssword", 401)
    problem = await problem_of(of(endpoint.url.replace("//", "//reader:p%40ssword@")))
    assert endpoint.requests[0].headers["authorization"].startswith("Basic ")
    assert problem.message == f"{endpoint.url} answered with HTTP status 401: not you, ***"
    assert "ssword" not in caplog.text


async def test_a_variable_that_is_not_set(endpoint: Endpoint) -> None:
    problem = await problem_of(of(endpoint.url, Authorization="Bearer ${TOKEN}"), variables={})
    assert problem.code == "metric-variable"
    assert problem.message == "the variable TOKEN is not set where Trimtab runs"
    assert not endpoint.requests


async def test_a_variable_that_cannot_be_a_header(endpoint: Endpoint) -> None:
    problem = await problem_of(of(endpoint.url, Authorization="${TOKEN}"), variables={"TOKEN": "one\ntwo"})
    assert problem.message == "the header Authorization has characters that no header can have"
    assert not endpoint.requests


async def test_proxies_of_the_environment_are_not_asked(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    endpoint.answer = lambda _: as_json({"refunds": 1})
    assert (await found(of(endpoint.url))).problem is None


async def test_a_reading_in_which_one_arm_fails_changes_nothing(endpoint: Endpoint) -> None:
    def answer(request: Request) -> Reply:
        return as_json({"refunds": 3}) if request.path == "/candidate" else Reply(b"", 500)

    endpoint.answer = answer
    problem = await problem_of(of(f"{endpoint.url}/$arm"))
    assert problem.where == "rate, bad of the stable"


async def test_a_metric_that_is_about_something_else_begins_anew(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: as_json({"refunds": 3})
    clock = ManualClock()
    reader = MeasurementReader(clock, {})
    watch = watch_of(of(endpoint.url), "rate", 0)
    while not (await reader.latest(watch))["rate"].arms:
        await asyncio.sleep(0.002)
    other = replace(watch, stable="sha256:" + "7" * 64)
    assert (await reader.latest(other))["rate"] == Measurement()
    while not (measurement := (await reader.latest(other))["rate"]).arms:
        await asyncio.sleep(0.002)
    assert set(measurement.arms) == {CANDIDATE, other.stable}
    await reader.close()


async def test_a_forgotten_rollout_is_not_read_any_longer(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: as_json({"refunds": 3})
    clock = ManualClock()
    reader = MeasurementReader(clock, {})
    forgotten = watch_of(of(f"{endpoint.url}/forgotten"), "rate", 0)
    kept = watch_of(of(f"{endpoint.url}/kept"), "rate", 0, "rollout/shop/production/2")
    for watch in (forgotten, kept):
        while not (await reader.latest(watch))["rate"].arms:
            await asyncio.sleep(0.002)
    reader.forget(forgotten.rollout)
    endpoint.requests.clear()
    clock.advance(kept.metrics[0].source.every_s)
    while (await reader.latest(kept))["rate"].as_of < clock.now():
        await asyncio.sleep(0.002)
    assert {request.path for request in endpoint.requests} == {"/kept"}
    await reader.close()
