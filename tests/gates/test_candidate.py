"""Smoke and load tests of a real small server that the gate starts itself."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest

from tests.gates.asking import PROGRAM, Answer, Project
from trimtab.core.model.report import ReportSpec
from trimtab.gates.load import Counted, Plan, _Sender, load, percentile
from trimtab.gates.load_test import broken
from trimtab.gates.smoke import at
from trimtab.reports import read

SERVER = """
import http.server, json, os, sys, time
PIDS = os.environ.get("PIDS")
if PIDS:
    open(PIDS, "a").write(f"{os.getpid()}\\n")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def do_GET(self):
        status = 500 if self.path == "/broken" else 404 if self.path == "/nowhere" else 200
        body = json.dumps({"items": [{"name": "shoe"}], "mode": os.environ.get("MODE", "")}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SERVE = f"{sys.executable} serve.py"


@pytest.fixture
def shop(project: Project) -> Project:
    """A project whose service is named as `trimtab.yaml` would."""
    project.write({"serve.py": SERVER})
    service = {"command": SERVE, "health_path": "/healthz", "env": {"MODE": "fast"}}
    project.env |= {"TRIMTAB_SERVICE": json.dumps(service), "PIDS": str(project.folder / "pids")}
    return project


def runs(pid: int) -> bool:
    """A process that has ended may wait for somebody to ask how."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def smoked(project: Project, *requests: Any, words: tuple[str, ...] = ()) -> Answer:
    return project.ask("smoke", "--requests", json.dumps(requests), *words)


def test_answers_as_they_must_be(shop: Project) -> None:
    answer = smoked(
        shop,
        "/",
        {"path": "/nowhere", "status": 404},
        {"path": "/", "contains": ["shoe", "items"], "json": {"items[0].name": "shoe", "mode": "fast"}},
        {"path": "/", "method": "post", "body": {"a": 1}, "status": 201, "json": {"a": 1}},
    )
    assert (answer.code, answer.said["said"]) == (0, "4 requests answered as they must be")
    (pid,) = (shop.folder / "pids").read_text().split()
    assert not runs(int(pid)), "the service was stopped"


def test_each_wrong_answer_is_named_and_in_the_report(shop: Project) -> None:
    (shop.folder / "junit").mkdir()
    answer = smoked(
        shop,
        {"path": "/broken"},
        {"path": "/", "contains": "hat", "json": {"items[0].name": "hat", "items[3]": 1}},
        "/",
        words=("--junit", "junit/smoke.xml"),
    )
    assert answer.code == 1
    assert [each["message"] for each in answer.said["findings"]] == [
        "GET /broken: status 500, and must be 200",
        'GET /: `hat` is not in the answer; `items[0].name` is "shoe", and must be "hat";'
        " there is no `items[3]` in the answer",
    ]
    tests = read(shop.folder, [ReportSpec("junit", ("smoke.xml",))]).tests
    assert tests is not None
    assert (tests.passed, [failed.name for failed in tests.failing]) == (1, ["GET /broken", "GET /"])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo no database; exit 3", "it ended with exit code 3 before it was ready; its last line was: no database"),
        ("exec sleep 60", "it is not ready: nothing answers on /healthz; it printed nothing"),
    ],
)
def test_a_service_that_does_not_start_says_why(command: str, why: str, shop: Project) -> None:
    service = {"command": command, "health_path": "/healthz", "health_timeout_s": 0.5}
    shop.env["TRIMTAB_SERVICE"] = json.dumps(service)
    answer = smoked(shop, "/")
    assert (answer.code, answer.problems) == (2, ["gate-candidate"])
    assert why in answer.said["problems"][0]["message"]


def test_a_gate_that_is_told_to_end_ends_its_service(shop: Project) -> None:
    words = ["load-test", "--duration", "10m", "--command", SERVE, "--health", "/"]
    asked = subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM), *words],
        cwd=shop.folder,
        env={**os.environ, **shop.env},
        stderr=subprocess.PIPE,
        text=True,
    )
    pids = shop.folder / "pids"
    deadline = time.monotonic() + 60
    while not (pids.exists() and pids.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    asked.terminate()
    _, said = asked.communicate(timeout=60)
    assert asked.returncode == 143
    assert "Traceback" not in said
    assert not runs(int(pids.read_text()))


@pytest.mark.parametrize("requests", ["[]", "{", '[{"path": "x"}]', '[{"path": "/", "stauts": 200}]', "[7]"])
def test_requests_that_are_none(requests: str, shop: Project) -> None:
    answer = shop.ask("smoke", "--requests", requests)
    assert (answer.code, answer.problems) == (2, ["gate-input"])


def test_without_a_service_it_says_how_to_name_one(project: Project) -> None:
    answer = smoked(project, "/")
    assert (answer.code, answer.problems) == (2, ["gate-input"])


@pytest.mark.parametrize(
    ("place", "found"), [("a.b[1].c", 7), ("a.b[0]", None), ("a", {"b": [None, {"c": 7}]}), ("l", "x")]
)
def test_places_in_a_document(place: str, found: Any) -> None:
    assert at({"a": {"b": [None, {"c": 7}]}, "l": "x"}, place) == found


# --- load ------------------------------------------------------------------------------------------------------------


def test_a_service_under_load_is_measured_and_reported(shop: Project) -> None:
    (shop.folder / "load").mkdir()
    words = ("--rate", "100", "--duration", "1.5s", "--warm-up", "0.2s", "--p95", "30s", "--output", "load/l.json")
    answer = shop.ask("load-test", *words)
    assert answer.code == 0, answer.out + answer.err
    report = read(shop.folder, [ReportSpec("load", ("l.json",))]).load
    assert report is not None
    assert (report.requests, report.errors) == (150, 0)
    assert 0 < report.p50_ms <= report.p95_ms <= report.p99_ms


def test_thresholds_that_do_not_hold(shop: Project) -> None:
    words = ("--concurrency", "4", "--duration", "1s", "--warm-up", "0s", "--p95", "0.001ms", "--paths", "/", "/broken")
    answer = shop.ask("load-test", *words)
    assert answer.code == 1
    assert [rule for rule, _ in answer.found] == ["p95", "errors"]
    assert "the first: status 500 on /broken" in answer.said["findings"][1]["message"]


def test_too_few_requests_are_no_proof(shop: Project) -> None:
    answer = shop.ask(
        "load-test", "--rate", "50", "--duration", "1s", "--warm-up", "0s", "--p99", "10s", "--errors", "5"
    )
    assert (answer.code, answer.problems) == (2, ["gate-undecided"])
    assert "50 requests are too few to judge p99: it takes 500" in answer.said["problems"][0]["message"]


@pytest.mark.parametrize("words", [("--rate", "0"), ("--duration", "soon"), ("--errors", "101%"), ("--paths", "x")])
def test_words_that_mean_nothing(words: tuple[str, ...], shop: Project) -> None:
    assert shop.ask("load-test", *words).code == 2


@contextmanager
def stalling(stall_s: float, after: int) -> Iterator[str]:
    """A server that answers one request after the other at once, and stands still once, after so many requests."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        stop, served = threading.Event(), 0

        def serve() -> None:
            nonlocal served
            while True:
                connection, _ = listening.accept()
                with connection:
                    if stop.is_set():
                        return
                    connection.recv(65536)
                    served += 1
                    if served == after:
                        stop.wait(stall_s)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stop.set()
            socket.create_connection(listening.getsockname()[:2]).close()
            thread.join()


def test_a_stall_is_seen_by_all_that_were_due_in_it() -> None:
    """One second of standing still among three concerns a third of the requests, though only one was under way."""
    with stalling(1.0, after=60) as url:
        counted = asyncio.run(load(url, Plan(duration_s=3.0, rate_per_s=60.0)))
    assert counted.requests == 180
    slow = sum(latency_ms > 100 for latency_ms in counted.latencies_ms)
    assert slow >= 40, "most of the 60 that were due within the stall waited for it to end"
    assert counted.percentile_ms(0.95) > 500


async def test_latency_counts_from_the_moment_at_which_a_request_was_due() -> None:
    """Also where it was this side that sent it late."""
    plan = Plan(duration_s=1.0, rate_per_s=1.0)
    with stalling(0.0, after=0) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            now = time.monotonic()
            sender = _Sender(client, plan, now - 60.0)
            await sender.send(now - 50.0)
    assert sender.counted.percentile_ms(0.5) >= 50_000
    assert sender.counted.late_ms[0] >= 50_000


@pytest.mark.parametrize(("quantile", "value"), [(0.5, 5), (0.95, 10), (0.99, 10), (0.1, 1), (0.11, 2)])
def test_percentiles_by_nearest_rank(quantile: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 11)], quantile) == value


def test_exactly_at_a_threshold_is_enough() -> None:
    counted = Counted(latencies_ms=[10.0] * 100, errors=1, first_error="status 500", began=0.0, ended=1.0)
    assert list(broken(counted, 10.0, 10.0, 1.0)) == []
    assert len(list(broken(counted, 9.9, 9.9, 0.9))) == 3
