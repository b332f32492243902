"""Gates that are asked over HTTP: a real server, the real program."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trimtab.adapters import gates
from trimtab.adapters.gates.ask import read_answer
from trimtab.core.model.strategy import GateSpec


class Gate(ThreadingHTTPServer):
    """Answers what it was told, the last answer for ever, and remembers what it was asked."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/gate"


class _Handler(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        answers = self.server.answers
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    server = Gate(*request.param)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(spec: GateSpec, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TRIMTAB_APP": "shop", "TRIMTAB_CANDIDATE": "sha256:aa", **env}
    return subprocess.run(gates.argv(spec), env=environment, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    "gate", [[(503, b""), (202, b""), (200, b'{"status": "wait"}'), (200, b"fine")]], indirect=True
)
def test_it_is_asked_until_it_has_answered(gate: Gate) -> None:
    ended = run(GateSpec("smoke", url=gate.url, every_s=0.01))
    assert (ended.returncode, len(gate.asked)) == (0, 4)
    assert json.loads(gate.asked[0][2]) == {"app": "shop", "candidate": "sha256:aa"}
    assert ended.stdout.splitlines() == ["HTTP 503", "HTTP 202", "HTTP 200, wait", "HTTP 200"]


@pytest.mark.parametrize(
    "gate", [[(200, b'{"status": "fail", "reason": "three of ten answers were wrong"}')]], indirect=True
)
def test_it_says_why_it_failed(gate: Gate) -> None:
    ended = run(GateSpec("evals", url=gate.url))
    assert ended.returncode == 1
    assert ended.stdout == "HTTP 200, fail: three of ten answers were wrong\n"


@pytest.mark.parametrize("gate", [[(200, b"ok")]], indirect=True)
def test_headers_take_their_secrets_from_the_environment(gate: Gate) -> None:
    spec = GateSpec("evals", url=gate.url, method="GET", headers={"Authorization": "Bearer ${EVAL_TOKEN}"})
    assert run(spec, EVAL_TOKEN="s3cret").returncode == 0
    path, headers, _ = gate.asked[0]
    assert headers["authorization"] == "Bearer s3cret"
    assert path == "/gate?app=shop&candidate=sha256%3Aaa"
    unset = run(spec)
    assert unset.returncode == 2
    assert "the variable EVAL_TOKEN of a header is not set" in unset.stdout


@pytest.mark.parametrize("gate", [[(200, b"x" * 1_000_000)]], indirect=True)
def test_an_endless_answer_is_cut_off(gate: Gate) -> None:
    ended = run(GateSpec("flood", url=gate.url))
    assert (ended.returncode, ended.stdout) == (1, "HTTP 200 with more than 64 KiB\n")


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (204, b"", "pass"),
        (200, b"not json", "pass"),
        (200, b'["a list"]', "pass"),
        (200, b'{"status": "FAILED"}', "fail"),
        (200, b'{"status": null}', "pass"),
        (429, b'{"status": "pass"}', "wait"),
        (404, b"", "wait"),
        (401, b"", "fail"),
        (302, b"", "fail"),
    ],
)
def test_answers(status: int, body: bytes, answer: str) -> None:
    assert read_answer(status, body)[0] == answer


def test_a_command_runs_in_a_shell() -> None:
    assert gates.argv(GateSpec("smoke", run="python smoke.py"))[-1] == "python smoke.py"
