"""A hostile step among others, under a supervisor and in a sandbox as steps are; and what must be the same after it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trimtab.adapters.processes import record
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.ports.processes import Limits, ProcessSpec, ProcessStatus
from trimtab.ports.workspaces import Isolation, Opened

MIB = 1024 * 1024
PLENTY = Limits(memory_bytes=512 * MIB, processes=200, disk_bytes=256 * MIB, output_bytes=4 * MIB)
NEIGHBOUR = "step/shop/1/neighbour/1"
HOSTILE = "step/shop/1/hostile/1"
_MARK = "TRIMTAB_TEST_MARK"
# What every hostile script begins with: `attempt(name, function)` prints what came of it.
_PRELUDE = """
import ctypes, errno, fcntl, json, os, resource, signal, socket, stat, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "done"
def attempt(name, function):
    try:
        result = function()
    except BaseException as error:
        result = errno.errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)
    print(json.dumps([name, result if isinstance(result, (str, int, list)) else repr(result)]), flush=True)
"""


@dataclass(frozen=True)
class Ran:
    """How the step ended, what it printed, and what came of each of its attempts."""

    status: ProcessStatus
    output: str
    attempts: Mapping[str, object] = field(default_factory=dict)

    @property
    def over(self) -> str:
        return self.status.over_limit


@dataclass(frozen=True)
class _World:
    """What must be the same afterwards."""

    neighbour: int
    files: Mapping[str, tuple[int, int, bytes]]
    null: int
    console: str


class Rig:
    """A folder with secrets of Trimtab's, a layer, and a neighbour that works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.layer = folder / "home" / "layer"
        self.outside = folder / "outside"
        self.mark = uuid.uuid4().hex
        for path, text in ((self.home / "trimtab.db", "secret"), (self.outside / "file", "outside")):
            path.parent.mkdir(parents=True)
            path.write_text(text)
        (self.layer / "folder").mkdir(parents=True)
        (self.layer / "file").write_text("from the layer")
        (self.layer / "folder" / "inner").write_text("from the layer")
        self.workspaces = SandboxedWorkspaces(self.home / "workspaces", (self.home, self.outside))
        self.processes = SupervisedProcesses(self.home / "processes")
        self._supervisors: set[str] = set()

    async def begin(self) -> None:
        await self.start(NEIGHBOUR, "open('work', 'w').write('mine'); print('ready', flush=True); time.sleep(600)")
        await until(lambda: "ready" in self.processes.log_path(NEIGHBOUR).read_text())
        self._before = self._world()

    async def start(self, name: str, script: str, limits: Limits = PLENTY, **isolation: object) -> Opened:
        opened = await self.workspaces.open(name, (self.layer,), Isolation(**isolation))  # type: ignore[arg-type]
        await self.processes.start(self._spec(name, opened, script, limits))
        await until(lambda: bool(self._supervisor(name)))
        self._supervisors.add(self._supervisor(name))
        return opened

    async def run(self, script: str, limits: Limits = PLENTY, **isolation: object) -> Ran:
        """A hostile step, from its start to its end."""
        await self.start(HOSTILE, script, limits, **isolation)
        status = await self.ended(HOSTILE)
        output = self.processes.log_path(HOSTILE).read_text(errors="replace")
        return Ran(status, output, dict(_attempts(output)))

    async def ended(self, name: str) -> ProcessStatus:
        deadline = time.monotonic() + 60
        while (status := await self.processes.status(name)) is None or status.phase not in ("exited", "lost"):
            assert time.monotonic() < deadline, status
            await asyncio.sleep(0.02)
        return status

    async def check(self) -> None:
        """Nothing of it is left, and all else is as it was."""
        await until(lambda: set(self.survivors()) <= set(self.survivors(NEIGHBOUR)), "a process of its is left")
        await until(lambda: not self.groups_left(), "a control group is left")
        assert self._world() == self._before
        assert (await self.processes.status(NEIGHBOUR)).phase == "running"  # type: ignore[union-attr]

    async def end(self) -> None:
        await asyncio.gather(*(self.processes.stop(each.name) for each in await self.processes.list("")))
        await self.processes.close()
        for name in (HOSTILE, NEIGHBOUR):
            await self.workspaces.close(name)  # a hundred thousand files are not for pytest to keep

    def survivors(self, name: str = "") -> list[int]:
        """Processes of steps that were begun here (of this one only), wherever they went."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_ours(pid, name)]

    def groups_left(self) -> set[str]:
        """Control groups of supervisors that were begun here and are not there any more."""
        # Not by `glob`, which stumbles over what goes while it looks.
        groups = (Path(inner, name) for inner, names, _ in os.walk("/sys/fs/cgroup") for name in names)
        mine = {group for group in groups if group.name.removeprefix("trimtab-") in self._supervisors}
        return {str(group) for group in mine if not Path("/proc", group.name.removeprefix("trimtab-")).exists()}

    def _supervisor(self, name: str) -> str:
        """Its process; empty while it has not said so."""
        state = record.read_fields(str(self.processes.log_path(name).parent / record.STATE))
        return dict(state or []).get("supervisor", "")

    def _spec(self, name: str, opened: Opened, script: str, limits: Limits) -> ProcessSpec:
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", _MARK: f"{self.mark}/{name}"}
        argv = (*opened.argv, sys.executable, "-I", "-c", _PRELUDE + script)
        limits = replace(limits, folder=opened.folder)
        return ProcessSpec(name, argv, opened.cwd, env, limits=limits, stop_timeout_s=1.0, timeout_s=50.0, log_files=9)

    def _is_ours(self, pid: int, name: str) -> bool:
        try:
            environment = Path("/proc", str(pid), "environ").read_bytes()
        except OSError:
            return False
        return f"{_MARK}={self.mark}/{name}".encode() in environment

    def _world(self) -> _World:
        places = (self.layer, self.outside, self.home / "trimtab.db")
        return _World(
            neighbour=min(self.survivors(NEIGHBOUR)),
            files={str(path): _state(path) for place in places for path in (place, *place.rglob("*"))}
            | {str(path): _state(path) for path in (self.home / "workspaces").rglob("work") if path.is_file()},
            null=os.stat("/dev/null").st_mode,
            console=Path("/proc/sys/kernel/printk").read_text(),
        )


def _state(path: Path) -> tuple[int, int, bytes]:
    status = path.lstat()
    return status.st_mode, status.st_nlink, path.read_bytes() if stat.S_ISREG(status.st_mode) else b""


def _attempts(output: str) -> list[tuple[str, object]]:
    return [tuple(json.loads(line)) for line in output.splitlines() if line.startswith('["')]


async def until(wanted: Callable[[], bool], otherwise: str = "it took too long") -> None:
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.02)


def refused(ran: Ran, *names: str, by: Sequence[str]) -> None:
    """All these attempts failed, and for one of these reasons."""
    for name in names:
        assert ran.attempts.get(name) in by, (name, ran.attempts.get(name), ran.output[-2000:])
