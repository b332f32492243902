"""Processes without supervisors: enough to run Envoy in a test, and to kill it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from trimtab.ports.processes import ProcessSpec, ProcessStatus


class DirectProcesses:
    """Each process is a child in a session of its own; `restart` is left to the test."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._specs: dict[str, ProcessSpec] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[subprocess.Popen[bytes]] = []

    async def start(self, spec: ProcessSpec) -> ProcessStatus:
        if spec.name not in self._children:
            self._specs[spec.name] = spec
            self.spawn(spec.name)
        return self._status(spec.name)

    def spawn(self, name: str) -> None:
        """Start the process (again), as its supervisor would."""
        spec = self._specs[name]
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log_path(name).open("ab") as log:
            child = subprocess.Popen(
                spec.argv, cwd=spec.cwd, env=dict(spec.env), stdout=log, stderr=log, start_new_session=True
            )
        self._children[name] = child
        self._started.append(child)

    def kill(self, name: str) -> None:
        """`kill -9`, and wait for the end."""
        os.kill(self._children[name].pid, signal.SIGKILL)
        self._children[name].wait()

    def kill_all(self) -> None:
        for child in self._started:
            if child.poll() is None:
                child.kill()
                child.wait()

    def _status(self, name: str) -> ProcessStatus:
        child = self._children[name]
        code = child.poll()
        return ProcessStatus(name, "running" if code is None else "exited", child.pid, exit_code=code)

    async def status(self, name: str) -> ProcessStatus | None:
        return self._status(name) if name in self._children else None

    async def list(self, prefix: str) -> tuple[ProcessStatus, ...]:
        return tuple(self._status(name) for name in sorted(self._children) if name.startswith(prefix))

    async def stop(self, name: str) -> None:
        child = self._children.get(name)
        if child is not None and child.poll() is None:
            child.terminate()
            child.wait(timeout=10)

    async def forget(self, name: str) -> None:
        self._children.pop(name, None)

    def log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def on_change(self, callback: Callable[[str], None]) -> None:
        raise NotImplementedError("no test listens for changes")
