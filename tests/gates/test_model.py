"""Models that are not there, are refused, or are others than their names say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.gates.asking import Answer, Project


@contextmanager
def server(status: int = 200, says: Any = None, key: str = "") -> Iterator[str]:
    """Answers every question in the same way; with 401 where the key is another one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            known = not key or self.headers["Authorization"] == f"Bearer {key}"
            body = json.dumps(says if known else {"error": {"message": "no such key"}}).encode()
            self.send_response(status if known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    finally:
        httpd.shutdown()
        httpd.server_close()


def ask(project: Project, *words: str, **model: Any) -> Answer:
    project.env["TRIMTAB_RELEASE_MODEL"] = json.dumps(model)
    return project.ask("model", *words)


def message(answer: Answer) -> str:
    assert answer.code == 1, answer
    return str(answer.said["findings"][0]["message"])


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"name": "small"}, {"model": "small"}),
        ({"name": "gpt-x", "revision": "gpt-x-2026-08-06"}, {"model": "gpt-x-2026-08-06"}),
        ({"name": "gpt-x", "revision": "fp_12"}, {"model": "gpt-x", "system_fingerprint": "fp_12"}),
    ],
)
def test_what_is_named_passes(project: Project, model: dict[str, str], says: Any) -> None:
    with server(says=says) as url:
        answer = ask(project, url=url, **model)
    assert answer.code == 0, answer
    assert answer.said["models"] == {"release.model": says["model"]}


def test_a_name_that_moves_and_one_that_has_moved(project: Project) -> None:
    with server(says={"model": "gpt-x-2026-11-20"}) as url:
        assert "write that as `revision`" in message(ask(project, name="gpt-x", url=url))
        moved = message(ask(project, name="gpt-x", revision="gpt-x-2026-08-06", url=url))
    assert "has changed under its name" in moved
    assert "gpt-x-2026-11-20" in moved


def test_each_fallback_is_asked_at_its_place(project: Project) -> None:
    with server(says={"model": "small"}) as url:
        fallback = [{"file": "models/x.gguf"}, {"name": "other", "url": url}]
        answer = ask(project, name="small", url=url, fallback=fallback)
    assert answer.found == [("model", "release.model.fallback[1]")]


@pytest.mark.parametrize(
    ("status", "says", "what"),
    [
        (404, {"error": {"message": "The model `x` does not exist"}}, "does not exist"),
        (400, {"error": "bad"}, "400 bad"),
        (200, {"choices": []}, "does not say which model"),
        (200, [1], "does not say which model"),
    ],
)
def test_what_is_refused_or_no_such_api_fails(project: Project, status: int, says: Any, what: str) -> None:
    with server(status, says) as url:
        assert what in message(ask(project, name="x", url=url))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_by_itself_is_no_failure(project: Project, status: int) -> None:
    with server(status, {}) as url:
        answer = ask(project, name="x", url=url)
    assert (answer.code, answer.problems) == (75, ["gate-unavailable"])


def test_nobody_there(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answer = ask(project, name="x", url=f"http://127.0.0.1:{port}/v1")
    assert (answer.code, answer.problems) == (75, ["gate-unavailable"])


def test_the_key_is_a_variable_of_the_step(project: Project) -> None:
    with server(says={"model": "x"}, key="secret") as url:
        assert "no such key" in message(ask(project, name="x", url=url))
        assert ask(project, "--key", "API_KEY", name="x", url=url).problems == ["gate-input"]
        project.env["API_KEY"] = "secret"
        assert ask(project, "--key", "API_KEY", name="x", url=url).code == 0


@pytest.mark.parametrize(
    "model",
    ["", "null", "[]", "{", '{"file": "x.gguf"}', '{"name": "x"}', '{"url": "http://x"}', '{"name": "x", "url": "::"}'],
)
def test_what_cannot_be_asked(project: Project, model: str) -> None:
    project.env["TRIMTAB_RELEASE_MODEL"] = model
    answer = project.ask("model")
    assert answer.code in (2, 75), answer
    assert answer.problems
