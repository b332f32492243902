"""The users of the demo with a language model."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.world import free_port
from trimtab.demo import questions
from trimtab.demo.play import SHOWN_LINES, _beginning

ASKED = ["one?", "two?", "three?", "four?"]


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str]]]:
    """Where somebody listens, and what was asked there."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["question"])
            self.send_response(500 if len(heard) % 2 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()
    thread.join()


async def test_users_ask_different_questions_and_stay_when_some_fail(
    heard: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "THINKS_S", 0.0)
    address, said = heard
    asking = asyncio.create_task(questions.ask(address, ASKED, 2, time.monotonic() + 60.0))
    while len(said) < 2 * len(ASKED):
        await asyncio.sleep(0)
        assert not asking.done()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert set(said) == set(ASKED)
    assert set(said[:2]) == {"one?", "three?"}


async def test_users_leave_when_nobody_answers_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "THINKS_S", 0.0)
    monkeypatch.setattr(questions, "PATIENCE", 2)
    await questions.ask(f"http://127.0.0.1:{free_port()}", ASKED, 2, time.monotonic() + 3600.0)


def test_a_long_comparison_is_cut_and_says_so() -> None:
    lines = [f"line {number}" for number in range(SHOWN_LINES + 3)]
    assert _beginning("\n\n".join(lines[:3])) == "line 0\nline 1\nline 2"
    assert _beginning("\n".join(lines)).splitlines()[-1] == "... 3 more lines"
