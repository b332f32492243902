"""Services beside a step, as processes: ready before it begins, gone after it, and its end is the end of all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.world import free_port, wait_for
from trimtab.adapters.services import command
from trimtab.core.model.pipeline import SandboxSpec, ServiceBesideSpec, StepSpec

# Answers each line with the same line; says what its environment has.
ECHO = """
import os, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line)
socketserver.TCPServer.allow_reuse_address = True
print("I am", os.environ.get("ROLE"), os.environ.get("STEPS"), flush=True)
with socketserver.ThreadingTCPServer(("127.0.0.1", {port}), Handler) as server:
    open("pid", "w").write(str(os.getpid()))
    server.serve_forever()
"""
ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", {port})) as there:
    there.sendall(b"hello\\n"); print(there.makefile().readline().strip(), "came back")
"""

UNTIL_UP = "while ! test -e up; do sleep 0.05; done"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "echo.py").write_text(ECHO.format(port=self.port))
        (folder / "ask.py").write_text(ASK.format(port=self.port))

    def service(
        self, run: str = f"exec {sys.executable} echo.py", *, name: str = "echo", **more: object
    ) -> ServiceBesideSpec:
        settings = {"port": self.port, "ready_timeout_s": 60.0, **more}
        return ServiceBesideSpec(name, run, **settings)  # type: ignore[arg-type]

    def begin(self, run: str, *services: ServiceBesideSpec, stop_s: float | None = None) -> subprocess.Popen[str]:
        words = list(command(StepSpec("test", run, services=services, sandbox=SandboxSpec(on=False))))
        if stop_s is not None:
            words[3] = words[3].replace("STOP_S = 10.0", f"STOP_S = {stop_s}")
        env = {"PATH": os.environ["PATH"], "STEPS": "own"}
        return subprocess.Popen(words, cwd=self.folder, env=env, stdout=subprocess.PIPE, text=True)

    def run(self, run: str, *services: ServiceBesideSpec, stop_s: float | None = None) -> tuple[int, list[str]]:
        begun = self.begin(run, *services, stop_s=stop_s)
        said, _ = begun.communicate(timeout=60)
        return begun.returncode, said.splitlines()

    def is_free(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_step_without_services_is_a_shell() -> None:
    assert command(StepSpec("test", "pytest")) == ("/bin/sh", "-ec", "pytest")


def test_it_is_there_while_the_step_runs_and_gone_afterwards(bench: Bench) -> None:
    code, said = bench.run(f"{sys.executable} ask.py", bench.service(env={"ROLE": "echo"}))
    assert code == 0
    assert "echo | I am echo own" in said
    assert "hello came back" in said
    assert bench.is_free()


def test_the_exit_code_and_the_signal_are_the_steps(bench: Bench) -> None:
    assert bench.run("exit 7", bench.service())[0] == 7
    assert bench.run("kill -KILL $$", bench.service())[0] == -signal.SIGKILL
    assert bench.is_free()


def test_a_signal_goes_to_the_step_and_services_outlast_it(bench: Bench) -> None:
    step = f"trap '{sys.executable} ask.py; exit 3' TERM; echo begun; while true; do sleep 0.05; done"
    begun = bench.begin(step, bench.service())
    assert begun.stdout is not None
    wait_for(lambda: "begun" in begun.stdout.readline(), why="the step has begun")  # type: ignore[union-attr]
    begun.send_signal(signal.SIGTERM)
    said, _ = begun.communicate(timeout=60)
    assert begun.returncode == 3
    assert "hello came back" in said
    assert bench.is_free()


def test_one_that_dies_before_it_is_ready_fails_the_step(bench: Bench) -> None:
    code, said = bench.run("echo never", bench.service("echo no such disk; exit 3", name="db"))
    assert code == 1
    assert said == [
        "db | no such disk",
        "trimtab | the service db ended before the step could begin (exit code 3): no such disk",
    ]


def test_one_that_is_never_ready_fails_the_step(bench: Bench) -> None:
    code, said = bench.run("echo never", bench.service("echo waiting; exec sleep 60", ready_timeout_s=1.0))
    assert code == 1
    assert said[-1] == (
        f"trimtab | the service echo did not accept a connection at port {bench.port} within 1 s: waiting"
    )


def test_one_that_dies_during_the_step_fails_the_step(bench: Bench) -> None:
    code, said = bench.run('kill -KILL "$(cat pid)"; sleep 60', bench.service())
    assert code == 1
    assert said[-1] == "trimtab | the service echo ended during the step (signal 9): I am None own"


def test_one_that_does_not_stop_is_killed(bench: Bench) -> None:
    stubborn = bench.service("trap '' TERM; touch up; while true; do sleep 0.1; done", port=None)
    code, said = bench.run(UNTIL_UP, stubborn, stop_s=0.2)
    assert code == 0
    assert said[-1] == "trimtab | the service echo did not stop within 0.2 s and is killed"


def test_a_port_that_is_taken_is_said(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", bench.port)):
        code, said = bench.run("echo never", bench.service())
    assert code == 1
    assert said == [
        f"trimtab | port {bench.port}, which the service echo is to use, is taken by another program: "
        "this step shares the machine's network, and so its ports"
    ]
    code, said = bench.run("echo never", bench.service(), bench.service(name="other"))
    assert said == [f"trimtab | the services echo and other are both to use port {bench.port}"]


def test_its_bytes_are_passed_on_whatever_they_are(bench: Bench) -> None:
    odd = bench.service(r"printf 'caf\303\251 \377\n\nend'; touch up; exec sleep 60", port=None)
    begun = bench.begin(UNTIL_UP, odd)
    begun.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    said, _ = begun.communicate(timeout=60)
    assert said.encode("utf-8", "surrogateescape") == b"echo | caf\xc3\xa9 \xff\necho | \necho | end\n"


def test_the_step_waits_until_the_service_says_that_it_is_ready(bench: Bench) -> None:
    serving = f"(sleep 0.3; touch up) & exec {sys.executable} echo.py"
    asking = "echo asked >> asked; test -e up && test $ROLE = echo"
    code, said = bench.run("test -e up && echo fine", bench.service(serving, ready=asking, env={"ROLE": "echo"}))
    assert (code, "fine" in said) == (0, True)
    assert len((bench.folder / "asked").read_text().split()) > 1


def test_a_service_that_never_says_so_fails_the_step(bench: Bench) -> None:
    for asking in ("false", "sleep 60"):
        code, said = bench.run("touch begun", bench.service(ready=asking, ready_timeout_s=0.5))
        assert code == 1
        assert any(f"the service echo was not ready (`{asking}` did not succeed) within 0.5 s" in line for line in said)
    assert not (bench.folder / "begun").exists()
