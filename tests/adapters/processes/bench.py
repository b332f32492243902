"""What the tests here share: the two implementations of each port under the bench of its contract suite."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from trimtab.adapters.processes.runtime import ProcessRuntime
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.core.errors import Problem
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification
from trimtab.ports.clock import Clock
from trimtab.ports.processes import Processes, ProcessSpec
from trimtab.ports.runtime import Runtime
from trimtab.testing.clock import ManualClock
from trimtab.testing.memory_processes import MemoryProcesses
from trimtab.testing.memory_runtime import MemoryRuntime

_UNWELL = Problem("instance-unhealthy", "It was ready and is not any more.")
PATH = os.environ["PATH"]
PYTHON = f"{sys.executable} -I -S"
# Reads "EXIT_CODE WORDS" from a FIFO, says the words and ends.
_UNTIL_TOLD = 'read -r code words < "$CONTROL"; [ -z "$words" ] || echo "$words"; exit "$code"'

# Answers 200 while the file "$TRIMTAB_STATE_DIR/$TRIMTAB_RELEASE" exists, and 503 otherwise.
APP = """
import os, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
well = os.path.join(os.environ["TRIMTAB_STATE_DIR"], os.environ["TRIMTAB_RELEASE"])
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    status = b"200 OK" if os.path.exists(well) else b"503 Service Unavailable"
    connection.sendall(b"HTTP/1.1 " + status + b"\\r\\nContent-Length: 0\\r\\n\\r\\n")
    connection.close()
"""


class RealTime:
    """Real time that passes faster, for whoever sleeps for seconds."""

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor
        self._began = time.time()

    def now(self) -> float:
        return self._began + (time.time() - self._began) * self._factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._factor)


async def end_all(processes: Processes) -> None:
    await asyncio.gather(*(processes.stop(status.name) for status in await processes.list("")))


class SupervisedBench:
    def __init__(self, home: Path) -> None:
        self._home = home
        self._open()

    def _open(self) -> None:
        self._supervised = SupervisedProcesses(self._home / "processes")
        self.processes: Processes = self._supervised

    def _control(self, name: str) -> Path:
        return self._home / name.replace("/", "+")

    def spec(self, name: str, *, restart: bool = False, timeout_s: float | None = None) -> ProcessSpec:
        control = self._control(name)
        if not control.exists():
            os.mkfifo(control)
        return ProcessSpec(
            name=name,
            argv=("/bin/sh", "-c", _UNTIL_TOLD),
            cwd=str(self._home),
            env={"CONTROL": str(control)},
            restart=restart,
            timeout_s=timeout_s,
        )

    def missing(self, name: str) -> ProcessSpec:
        return ProcessSpec(name, ("no-such-command",), "/", {"PATH": PATH})

    async def finish(self, name: str, exit_code: int, output: str = "") -> None:
        await asyncio.wait_for(asyncio.to_thread(self._control(name).write_text, f"{exit_code} {output}\n"), 10)

    async def wait(self) -> None:
        await asyncio.sleep(0.01)

    async def reopen(self) -> None:
        await self._supervised.close()
        self._open()

    async def close(self) -> None:
        await end_all(self.processes)
        await self._supervised.close()


class MemoryProcessesBench:
    def __init__(self, home: Path) -> None:
        self._clock = ManualClock()
        self._memory = MemoryProcesses(self._clock, home)
        self._memory.missing_commands.add("no-such-command")
        self.processes: Processes = self._memory

    def spec(self, name: str, *, restart: bool = False, timeout_s: float | None = None) -> ProcessSpec:
        return ProcessSpec(name, ("until-told",), "/", restart=restart, timeout_s=timeout_s)

    def missing(self, name: str) -> ProcessSpec:
        return ProcessSpec(name, ("no-such-command",), "/")

    async def finish(self, name: str, exit_code: int, output: str = "") -> None:
        self._memory.finish(name, exit_code, output)

    async def wait(self) -> None:
        self._clock.advance(0.01)

    async def reopen(self) -> None:
        """There is only one."""

    async def close(self) -> None:
        """Nothing is left behind."""


def specification(command: str, **service: object) -> Specification:
    fields: dict[str, object] = {"health_path": "/health", "stop_timeout_s": 2.0, **service}
    places = (EnvironmentSpec("staging", 0), EnvironmentSpec("production", 0, env={"PLACE": "production"}))
    return Specification("shop", ServiceSpec(command, **fields), places)  # type: ignore[arg-type]


class ProcessRuntimeBench:
    def __init__(self, home: Path, clock: Clock | None = None) -> None:
        self.home = home
        self.root = home / "root"
        self.root.mkdir()
        (self.root / "app.py").write_text(APP)
        self.specification = specification(f"{PYTHON} app.py")
        self._clock = clock or RealTime(10)
        self._open()

    def _open(self) -> None:
        self.processes = SupervisedProcesses(self.home / "processes")
        self.runtime: Runtime = ProcessRuntime(self.home / "runtime", self.processes, self._clock)

    async def answer(self, environment: EnvironmentId, release: Digest, *, well: bool) -> None:
        switch = self.home / "runtime" / "state" / environment.app / environment.name / release
        switch.parent.mkdir(parents=True, exist_ok=True)
        switch.touch() if well else switch.unlink(missing_ok=True)

    async def wait(self) -> None:
        await asyncio.sleep(0.02)

    async def reopen(self) -> None:
        await self.leave()
        self._open()

    async def leave(self) -> None:
        assert isinstance(self.runtime, ProcessRuntime)
        await self.runtime.close()
        await self.processes.close()

    async def close(self) -> None:
        await self.leave()
        self.processes = SupervisedProcesses(self.home / "processes")
        await end_all(self.processes)
        await self.processes.close()


class MemoryRuntimeBench:
    def __init__(self, home: Path) -> None:
        self.root = home
        self.specification = specification("true")
        self._clock = ManualClock()
        self._well: set[tuple[EnvironmentId, Digest]] = set()
        self._runtime = MemoryRuntime(self._clock, ready_after_s=None)
        self.runtime: Runtime = self._runtime

    async def answer(self, environment: EnvironmentId, release: Digest, *, well: bool) -> None:
        (self._well.add if well else self._well.discard)((environment, release))
        if not well:
            self._runtime.set_phase(environment, release, "unhealthy", _UNWELL)

    async def wait(self) -> None:
        self._clock.advance(0.02)
        for environment, release in self._well:
            self._runtime.set_phase(environment, release, "ready")

    async def reopen(self) -> None:
        """There is only one."""

    async def close(self) -> None:
        """Nothing is left behind."""
