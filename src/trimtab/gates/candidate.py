"""The service of the release to be, started in the step's folder: what smoke and load tests ask."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import httpx

from trimtab.core.errors import TrimtabError, failure

VARIABLE = "TRIMTAB_SERVICE"
"""The step's environment variable that says how the service of `trimtab.yaml` is started."""
_POLL_S = 0.05
_LAST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Service:
    """As `service` in `trimtab.yaml`."""

    command: str
    port_env: str = "PORT"
    health_path: str | None = None
    health_timeout_s: float = 60.0
    stop_timeout_s: float = 10.0
    env: dict[str, str] = field(default_factory=dict)


def service_of(command: str | None, health: str | None) -> Service:
    """By hand a command and a health path, in a step what `trimtab.yaml` says. Raises `TrimtabError` (`gate-input`)."""
    try:
        said: dict[str, Any] = json.loads(os.environ.get(VARIABLE, "{}"))
        said |= {name: value for name, value in (("command", command), ("health_path", health)) if value}
        return Service(**said)
    except (TypeError, ValueError):
        hint = f"name it with `--command`, or set {VARIABLE}"
        raise failure("gate-input", "it is not known how the service is started", hint) from None


@contextlib.contextmanager
def started(service: Service) -> Iterator[str]:
    """The service's address while it runs; it is stopped at the end. Raises `TrimtabError` (`gate-candidate`) when it
    does not become ready."""
    port = _free_port()
    # A step whose time is up is told so: its service must not outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryFile() as log:
        process = _start(service, port, log)
        try:
            _await_ready(service, port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process, service.stop_timeout_s)


def _start(service: Service, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", service.command],
        env={**os.environ, **service.env, service.port_env: str(port)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _await_ready(service: Service, port: int, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + service.health_timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _unready(f"it ended with exit code {process.returncode} before it was ready", log)
        if _is_ready(service, port):
            return
        time.sleep(_POLL_S)
    asked = f"answers on {service.health_path}" if service.health_path else f"listens on ${service.port_env}"
    raise _unready(f"after {service.health_timeout_s:g} s it is not ready: nothing {asked}", log)


def _is_ready(service: Service, port: int) -> bool:
    if service.health_path is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}{service.health_path}", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return 200 <= answer.status_code < 400


def _unready(why: str, log: IO[bytes]) -> TrimtabError:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LAST_BYTES))
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    last = f"; its last line was: {lines[-1][:300]}" if lines else "; it printed nothing"
    hint = "start it by hand in a folder with the commit's files and the outputs of the steps before"
    return failure("gate-candidate", f"the service does not start: {why}{last}", hint, "service.command")


def _stop(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """All of its processes, politely first."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
