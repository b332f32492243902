"""Known vulnerabilities, asked of a double of the advisory service on the loopback; and once of the real one."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.gates.asking import Project

VULNERABLE = {
    "id": "GHSA-x84v-xcm2-53pg",
    "aliases": ["CVE-2018-18074"],
    "summary": "Insufficiently protected credentials",
    "affected": [
        {
            "package": {"name": "requests", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.20.0"}]}],
        }
    ],
}


@contextmanager
def service(status: int = 200, body: bytes | None = None) -> Iterator[tuple[str, list[Any]]]:
    """Its address, and what it is asked. It knows one vulnerability."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(query)
            bad = query["package"]["name"] == "requests" and query["version"] == "2.19.0"
            answer = body if body is not None else json.dumps({"vulns": [VULNERABLE]} if bad else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


REQUIREMENTS = {"requirements.txt": "requests==2.19.0  # old\nattrs==23.1.0\n"}


def test_what_is_known_is_found_with_its_remedy(project: Project) -> None:
    with service() as (url, asked):
        answer = project.write(REQUIREMENTS).ask("dependency-audit", "--service", url)
    assert answer.code == 1
    (finding,) = answer.said["findings"]
    assert finding["rule"] in ("CVE-2018-18074", "GHSA-x84v-xcm2-53pg")
    assert finding["message"] == "requests 2.19.0: Insufficiently protected credentials (fixed in 2.20.0)"
    assert {each["package"]["name"] for each in asked} == {"requests", "attrs"}


def test_what_is_passed_over_is_named_by_any_of_its_names(project: Project) -> None:
    with service() as (url, _):
        answer = project.write(REQUIREMENTS).ask("dependency-audit", "--service", url, "--ignore", "CVE-2018-18074")
    assert (answer.code, answer.said["packages"]) == (0, 2)


def test_a_lock_file_is_read(project: Project) -> None:
    lock = 'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "requests"\nversion = "2.19.0"\n'
    with service() as (url, _):
        answer = project.write({"pylock.toml": lock}).ask("dependency-audit", "--service", url, "pylock.toml")
    assert (answer.code, len(answer.found)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (429, b""), (200, b"<html>"), (200, b'{"vulns": 7}'), (200, b"[1]"), (200, b'{"other": []}')],
)
def test_a_service_that_gives_no_answer_is_asked_again_later(status: int, body: bytes, project: Project) -> None:
    with service(status, body) as (url, _):
        answer = project.write(REQUIREMENTS).ask("dependency-audit", "--service", url)
    assert (answer.code, answer.problems) == (75, ["gate-unavailable"])


def test_a_service_that_is_not_there_never_passes(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = project.write(REQUIREMENTS).ask("dependency-audit", "--service", f"http://127.0.0.1:{port}/")
    assert (answer.code, answer.problems) == (75, ["gate-unavailable"])


def test_an_index_that_is_not_there_never_passes(project: Project) -> None:
    """Of requirements that are not pinned, pip must find out what would be installed."""
    index = "http://127.0.0.1:1/simple"
    project.env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "PIP_RETRIES": "0", "PIP_FIND_LINKS": ""}
    project.env |= {"PIP_EXTRA_INDEX_URL": ""}
    with service() as (url, _):
        answer = project.write({"requirements.txt": "attrs\n"}).ask("dependency-audit", "--service", url)
    assert (answer.code, answer.problems) == (75, ["gate-unavailable"])


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "gate-input"),
        ({"requirements.txt": ""}, "gate-undecided"),
        ({"requirements.txt": "==1.0\n"}, "gate-input"),
        ({"requirements.txt": b"\xff\xfe=="}, "gate-input"),
    ],
)
def test_nothing_to_look_up_does_not_pass(files: dict[str, str], code: str, project: Project) -> None:
    with service() as (url, _):
        answer = project.write(files).ask("dependency-audit", "--service", url)
    assert (answer.code, answer.problems) == (2, [code])


@pytest.mark.slow  # it needs the world outside
def test_the_real_service_knows_an_old_vulnerability(project: Project) -> None:
    answer = project.write(REQUIREMENTS).ask("dependency-audit")
    if answer.code == 75:
        pytest.skip(f"the advisory service cannot be reached from here: {answer.said['problems'][0]['message'][:100]}")
    assert answer.code == 1
