"""What the client says when the server is not there, goes away, or is not Trimtab."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from trimtab.client import TrimtabClient
from trimtab.core.errors import TrimtabError
from trimtab.views.model import HistoryEntry

HEAD = "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n"
Answer = Callable[[str], str]
"""From the request's first line to everything that is sent before the connection ends."""


def event(seq: int) -> str:
    entry = {"seq": seq, "at": 0.0, "object": "app/a", "kind": "K", "summary": "s", "reason": "r", "actor": "me"}
    return f"id: {seq}\nevent: fact\ndata: {json.dumps(entry)}\n\n"


@contextmanager
def speaking(answers: list[Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives each connection the next answer and then no longer listens; its address, the requests."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    asked: list[str] = []

    def speak() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                request = connection.recv(65536).decode().partition("\r\n")[0]
                asked.append(request)
                connection.sendall(answer(request).encode())
        listening.close()

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    yield url, asked
    thread.join(timeout=5)
    listening.close()


def stream(body: str) -> Answer:
    return lambda _: HEAD.format(kind="text/event-stream") + body


def client_of(url: str, slept: list[float]) -> TrimtabClient:
    return TrimtabClient(url, "t", reconnect_within_s=2.0, sleep=slept.append)


def test_nobody_listens() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()
    with TrimtabClient(url, "t") as client, pytest.raises(TrimtabError) as failed:
        client.status()
    problem = failed.value.problem
    assert (problem.code, problem.where) == ("not-running", url)
    assert "trimtab up" in problem.hint


def test_a_lost_event_stream_is_taken_up_after_the_last_event() -> None:
    slept: list[float] = []
    cut = event(7).rstrip("\n")  # no blank line: the event was not sent in full
    with speaking([stream(event(5) + event(6) + cut), stream(": still here\n\n" + event(7))]) as (url, asked):
        events = client_of(url, slept).events(4)
        seen: list[HistoryEntry] = [next(events) for _ in range(3)]
    assert [entry.seq for entry in seen] == [5, 6, 7]
    assert [request.split("after=")[1].split()[0] for request in asked] == ["4", "6"]
    assert slept, "it must not hammer a server that is being restarted"


def test_a_server_that_stays_away_is_given_up() -> None:
    slept: list[float] = []
    with speaking([stream(event(5))]) as (url, _):
        events = client_of(url, slept).events(4)
        assert next(events).seq == 5
        with pytest.raises(TrimtabError) as failed:
            next(events)
    assert failed.value.problem.code in ("not-running", "connection-lost")
    assert sum(slept) >= 2.0


def test_the_first_connection_is_not_waited_for() -> None:
    slept: list[float] = []
    with speaking([]) as (url, _):
        pass
    with pytest.raises(TrimtabError) as failed:
        next(client_of(url, slept).events(4))
    assert failed.value.problem.code == "not-running"
    assert slept == []


def test_a_connection_that_breaks_in_the_middle() -> None:
    short_body = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
    with speaking([lambda _: short_body]) as (url, _), pytest.raises(TrimtabError) as failed:
        TrimtabClient(url, "t").status()
    assert failed.value.problem.code == "connection-lost"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD.format(kind="text/html") + "<h1>It works!</h1>",
        HEAD.format(kind="application/json") + '{"apps": 3}',
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_a_server_that_is_not_trimtab(answer: str) -> None:
    with speaking([lambda _: answer]) as (url, _), pytest.raises(TrimtabError) as failed:
        TrimtabClient(url, "t").status()
    assert failed.value.problem.code == "unexpected-answer"
    assert failed.value.problem.where == url


def test_an_address_that_is_none() -> None:
    with TrimtabClient("ftp://nowhere", "t") as client, pytest.raises(TrimtabError):
        client.status()
