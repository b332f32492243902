"""Real faults, made to real processes: what `trimtab doctor` and `trimtab status` say of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.e2e.world import World, end, wait_for
from trimtab.app.doctor import examine
from trimtab.views.findings import CHECKS, Finding


def command(world: World, *words: str) -> list[str]:
    return [sys.executable, "-m", "trimtab.cli.main", *words, "--home", str(world.home)]


def doctor(world: World, *checks: str) -> list[Finding]:
    """What is wrong."""
    return [found for found in examine(world.home, checks or CHECKS) if found.is_wrong]


def says(world: World, check: str, *words: str) -> None:
    """The check finds something with these words."""

    def look() -> bool:
        text = " ".join(f"{each.what} {each.why} {each.do}" for each in doctor(world, check))
        return all(word in text for word in words)

    wait_for(look, why=f"{check} finds {words}")


def exit_code(world: World) -> int:
    """Of the command itself, which shows what `examine` finds."""
    done = subprocess.run(command(world, "doctor", "--json"), capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert {each["check"] for each in json.loads(done.stdout)} == set(CHECKS)
    return done.returncode


@contextmanager
def paused(process: psutil.Process) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def envoy(world: World) -> psutil.Process:
    return next(process for process in world.processes() if process.name() == "envoy")


def test_faults_of_processes_and_what_is_said_of_them(world: World) -> None:
    world.plant(strategy="instant")
    world.up()
    world.ended(world.push(version=1))
    assert wait_for(lambda: doctor(world) == [], why="all is well")
    wait_for(lambda: exit_code(world) == 0, why="the command says so, too")

    assert world.controller is not None
    with paused(psutil.Process(world.controller.pid)):
        says(world, "controller", "is paused", f"kill -CONT {world.controller.pid}")
        waiting = subprocess.Popen(command(world, "status"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        assert "`trimtab doctor` tells why" in waiting.stderr.readline()
    assert waiting.wait(20) == 0
    waiting.communicate()

    with paused(envoy(world)):
        says(world, "gateway", "is paused", f"kill -CONT {envoy(world).pid}")
        problem = wait_for(lambda: next(iter(world.production.problems), None), why="status says it, too")
        assert (problem.code, "trimtab doctor gateway" in problem.hint) == ("gateway", True)

    _crash_loop(world)
    supervisor = envoy(world).parent()
    assert supervisor is not None
    end(supervisor)
    says(world, "gateway", "supervisor was killed", "restart the controller")
    wait_for(lambda: [each.code for each in world.production.problems] == ["gateway"], why="status says it, too")

    world.kill_controller()
    says(world, "controller", "was killed", "trimtab up")
    assert exit_code(world) == 1
    said = subprocess.run(command(world, "status"), capture_output=True, text=True)
    assert "trimtab doctor" in said.stderr
    end(next(process for process in world.processes("app.py")).parents()[0])
    says(world, "instances", "does not run")
    world.up()
    assert wait_for(lambda: doctor(world) == [], why="all is well again")


def _crash_loop(world: World) -> None:
    """An instance that ends again and again, until its supervisor waits before it starts it again."""

    def kill() -> bool:
        for process in world.processes("app.py"):
            if not process.children():
                end(process)
        return doctor(world, "instances") != []

    wait_for(kill, why="the instance is started again and again")
    says(world, "instances", "again")
    wait_for(lambda: not world.production.problems, why="it serves again")


def test_a_port_that_was_taken_meanwhile(world: World) -> None:
    world.plant(strategy="instant")
    world.up()
    world.ended(world.push(version=1))
    world.down()
    with socket.create_server(("127.0.0.1", world.port)):
        says(world, "ports", "is taken by", f"(process {os.getpid()})")
        world.up()
        says(world, "ports", "is taken by")
        wait_for(lambda: world.production.problems, why="status says it, too")
