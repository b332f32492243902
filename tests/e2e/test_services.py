"""Services beside steps in their sandbox: a real PostgreSQL, each step's own, and nothing left of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.e2e.laptop import Laptop, tidied
from tests.e2e.world import wait_for
from tests.postgres import needed_programs

DATABASE = """
  test:
    run: |
      psql -h 127.0.0.1 -U app -d postgres -Atc "create table t as select 41 + 1 as answer"
      psql -h 127.0.0.1 -U app -d postgres -Atc "select 'answer', answer from t"
    env: {{PATH: "{programs}:/usr/bin:/bin"}}
    matrix: {{N: ["1", "2"]}}
    services:
      db:
        run: |
          initdb -D /tmp/db -A trust -U app --no-sync > /dev/null
          exec postgres -D /tmp/db -p 5432 -k /tmp -c listen_addresses=127.0.0.1 -c fsync=off
        port: 5432
        ready: pg_isready --quiet -h 127.0.0.1 -U app -d postgres
"""
ECHO = """
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line)
with socketserver.ThreadingTCPServer(("127.0.0.1", 7000), Handler) as server:
    server.serve_forever()
"""
ASK = """
import socket
with socket.create_connection(("127.0.0.1", 7000)) as there:
    there.sendall(b"hello\\n"); print(there.makefile().readline().strip(), "came back")
"""


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    with tidied(Laptop(Path(mkdtemp(prefix="trimtab-laptop-")))) as laptop:
        yield laptop


def test_a_database_beside_each_step(laptop: Laptop) -> None:
    laptop.plant(DATABASE.format(programs=needed_programs()))
    said = laptop.fine()
    assert "test@1 | answer|42" in said
    assert "test@2 | answer|42" in said
    assert "db | " in said
    assert laptop.processes() == []


def test_a_step_that_is_stopped_leaves_no_service(laptop: Laptop) -> None:
    service = f"{{echo: {{run: '{sys.executable} echo.py', port: 7000}}}}"
    laptop.plant(
        f"  test: {{run: '{sys.executable} ask.py; sleep 1000', services: {service}, timeout: 3s}}",
        echo_dot_py=ECHO,
        ask_dot_py=ASK,
    )
    done = laptop.run()
    assert done.returncode == 1
    assert "hello came back" in done.stdout
    assert "timed out" in done.stdout
    wait_for(lambda: not laptop.processes(), why="no process is left")


def test_why_a_service_failed_is_the_reason(laptop: Laptop) -> None:
    laptop.plant("  test: {run: 'true', services: {db: {run: 'echo no such disk; exit 3', port: 5432}}}")
    done = laptop.run()
    assert done.returncode == 1
    assert "the service db ended before the step could begin (exit code 3): no such disk" in done.stdout
