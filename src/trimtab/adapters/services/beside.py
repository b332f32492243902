"""Runs a step's services beside its command: ``python -I -c PROGRAM PLAN``. Nothing but the standard library.

It lives where the step does, in its sandbox and under its supervisor. Its exit code, or the signal that ends it, is
that of the step. Should it be killed, or something of the step's outlive it, the supervisor ends that.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, NoReturn

LOOK_EVERY_S = 0.02
STOP_S = 10.0
"""How long a service may take to end after SIGTERM before SIGKILL."""
LAST_WORDS_S = 2.0
FAILED = 1
_CONNECT_S = 1.0
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Failed(Exception):
    """A service was not what the step needs."""


def say(text: str) -> None:
    """A line in the step's log, in one piece."""
    os.write(1, f"{text}\n".encode("utf-8", "surrogateescape"))


class Service:
    """A program that runs beside the step; its output is that of the step, with its name in front of each line."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.name: str = plan["name"]
        self.port: int | None = plan["port"]
        self.ready: str = plan["ready"]
        self.timeout_s: float = plan["ready_timeout_s"]
        self._env = {**os.environ, **plan["env"]}
        self._last = ""
        self._process = subprocess.Popen(
            ["/bin/sh", "-ec", plan["run"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._pass_on, daemon=True)
        self._reader.start()

    def _pass_on(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            self._last = text.strip() or self._last
            say(f"{self.name} | {text}")

    def ensure_alive(self, when: str) -> None:
        """Raises `Failed` once it has ended."""
        code = self._process.poll()
        if code is not None:
            self._reader.join(LAST_WORDS_S)
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            raise Failed(f"the service {self.name} ended {when} ({how})" + (f": {self._last}" if self._last else ""))

    def wait(self, others: list[Service]) -> None:
        """Until its port accepts a connection and its command says that it is ready. Raises `Failed`."""
        deadline = time.monotonic() + self.timeout_s
        while (lacking := self._lacking(deadline)) is not None:
            for each in others:
                each.ensure_alive("before the step could begin")
            if time.monotonic() >= deadline:
                said = f": {self._last}" if self._last else ""
                raise Failed(f"the service {self.name} {lacking} within {self.timeout_s:g} s{said}")
            time.sleep(LOOK_EVERY_S)

    def _lacking(self, deadline: float) -> str | None:
        """What it did not do so far; None: it is ready."""
        if self.port is not None and not accepts(self.port):
            return f"did not accept a connection at port {self.port}"
        if self.ready and not self._says_so(max(LOOK_EVERY_S, deadline - time.monotonic())):
            return f"was not ready (`{self.ready}` did not succeed)"
        return None

    def _says_so(self, within_s: float) -> bool:
        asked = subprocess.Popen(
            ["/bin/sh", "-ec", self.ready],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._env,
            process_group=0,
        )
        try:
            return asked.wait(within_s) == 0
        except subprocess.TimeoutExpired:
            send(asked.pid, signal.SIGKILL)
            asked.wait()
            return False

    def tell_to_stop(self) -> None:
        send(self._process.pid, signal.SIGTERM)

    def stop(self, until: float) -> None:
        """Take its end, or end it."""
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"trimtab | the service {self.name} did not stop within {STOP_S:g} s and is killed")
            send(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(LAST_WORDS_S)


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), _CONNECT_S):
            return True
    except OSError:
        return False


def send(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def ensure_free(plan: dict[str, Any]) -> None:
    """Whoever answers at a service's port already would be taken for it. Raises `Failed`."""
    seen: dict[int, str] = {}
    for service in plan["services"]:
        name, port = service["name"], service["port"]
        if port is None:
            continue
        if port in seen:
            raise Failed(f"the services {seen[port]} and {name} are both to use port {port}")
        seen[port] = name
        if accepts(port):
            why = "" if plan["isolated"] else ": this step shares the machine's network, and so its ports"
            raise Failed(f"port {port}, which the service {name} is to use, is taken by another program{why}")


def run(plan: dict[str, Any]) -> int:
    """The step's exit code; below 0: the signal that ended it."""
    stops: list[int] = []
    step: subprocess.Popen[bytes] | None = None

    def told(number: int, _: Any) -> None:
        stops.append(number)
        if step is not None:
            send(step.pid, number)

    for number in _PASSED_ON:
        signal.signal(number, told)
    services: list[Service] = []
    try:
        ensure_free(plan)
        services += [Service(each) for each in plan["services"]]
        for service in services:
            service.wait(services)
        if stops:
            return -stops[0]
        step = subprocess.Popen(["/bin/sh", "-ec", plan["run"]], process_group=0)
        if stops:
            send(step.pid, stops[0])
        return watched(step, services)
    except Failed as failed:
        say(f"trimtab | {failed}")
        return FAILED
    finally:
        for service in services:
            service.tell_to_stop()
        until = time.monotonic() + STOP_S
        for service in services:
            service.stop(until)


def watched(step: subprocess.Popen[bytes], services: list[Service]) -> int:
    """The step's exit code. A service that ends before it ends it, too: raises `Failed`."""
    try:
        while (code := step.poll()) is None:
            for service in services:
                service.ensure_alive("during the step")
            time.sleep(LOOK_EVERY_S)
    except Failed:
        send(step.pid, signal.SIGKILL)
        step.wait()
        raise
    return code


def end(code: int) -> NoReturn:
    """As the step has ended."""
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    end(run(json.loads(sys.argv[1])))
