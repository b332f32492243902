"""What a process may use, held by the kernel where it can and by watching where it cannot.

A supervisor has a `Guard` if its process has limits. Standard library only.
"""

from __future__ import annotations

import os
import resource
import time

from trimtab.adapters.processes import tree
from trimtab.adapters.processes.cgroup import Group, homes
from trimtab.adapters.processes.disk_use import DiskUse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trimtab.adapters.processes.cgroup import Homes

FIELD = "limit_"
"""What a limit's name in the record begins with: ``limit_memory``, in bytes."""
LOOK_S = 0.25
PROCESSES_VARIABLE = "TRIMTAB_PROCESSES"
"""Tells the sandbox how many processes the kernel is to refuse one more at, where it counts them for each sandbox of a
user without privileges. It is a little more than the limit, so that a watch sees it exceeded; without it, a fork bomb
would leave no processor time to who watches."""
_MARGIN = 32


class Guard:
    """The limits of one process from its start to its end. `root`: all below it count, itself not. `settled`: control
    groups that it is in for this (see `cgroup.settle`)."""

    def __init__(self, fields: dict[str, str], root: int, settled: Homes | None = None) -> None:
        self._limits = {key[len(FIELD) :]: float(value) for key, value in fields.items() if key.startswith(FIELD)}
        self._root = root
        self._group = Group(self._limits, settled)
        self._watched = {"memory", "processes"} & self._limits.keys() - self._group.holds
        self._folder = fields.get("limits_folder", "")
        self._disk: DiskUse | None = None
        self._output_left: int | None = None
        self.over = ""
        """The limit that was exceeded."""
        self.look_at = 0.0

    @classmethod
    def of(cls, fields: dict[str, str], root: int, settled: Homes | None = None) -> Guard | None:
        """None for a process without limits."""
        return cls(fields, root, settled) if any(key.startswith(FIELD) for key in fields) else None

    @property
    def environment(self) -> dict[str, str]:
        """Further variables for its process."""
        if "processes" not in self._watched:
            return {}
        return {PROCESSES_VARIABLE: str(int(self._limits["processes"]) + _MARGIN)}

    def begin(self) -> None:
        """It is about to be started, perhaps again."""
        self.over, self.look_at = "", 0.0
        self._output_left = int(self._limits["output"]) if "output" in self._limits else None
        self._group.begin()
        if "disk" in self._limits and self._disk is None and os.path.isdir(self._folder):
            self._disk = DiskUse(self._folder, self._limits["disk"])

    def enter(self) -> None:
        """Between fork and exec. Raises OSError."""
        self._group.enter()
        if "disk" in self._limits:
            _lower(resource.RLIMIT_FSIZE, int(self._limits["disk"]))
        _lower(resource.RLIMIT_CORE, 0)
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # should the machine run out of memory, it goes before what serves users

    def exceeded(self) -> bool:
        """Whether it is to be ended. To be asked at `look_at`, or sooner."""
        now = time.monotonic()
        if not self.over and now >= self.look_at:
            self.over = self._group.exceeded() or self._look()
            self.look_at = time.monotonic() + LOOK_S
        return bool(self.over)

    def let_out(self, data: bytes) -> bytes:
        """As much of its output as it may print."""
        if self._output_left is None:
            return data
        if len(data) > self._output_left:
            self.over = self.over or "output"
        data = data[: self._output_left]
        self._output_left -= len(data)
        return data

    def ended(self, code: int) -> None:
        """It has ended with this exit code, or by minus this signal: was that for a limit, before anyone looked?"""
        self.over = self.over or self._group.exceeded()
        if not self.over and code != 0 and self._disk is not None and self._disk.exceeded_now(self._root):
            self.over = "disk"

    def close(self) -> None:
        """Everything below `root` has ended."""
        self._group.remove()

    def _look(self) -> str:
        if self._watched:
            processes = tree.below(self._root)
            # Threads count, as they do for the kernel.
            threads = sum(process.threads for process in processes)
            if "processes" in self._watched and threads > self._limits["processes"]:
                return "processes"
            if "memory" in self._watched and self._uses_too_much_memory(processes):
                return "memory"
        return "disk" if self._disk is not None and self._disk.exceeded(self._root) else ""

    def _uses_too_much_memory(self, processes: list[tree.Process]) -> bool:
        most = self._limits["memory"]
        # What processes share is in the sum once for each: only if that is too much, it is worth asking again.
        if sum(process.memory_bytes for process in processes) <= most:
            return False
        return tree.proportional_bytes([process.pid for process in processes]) > most


def how_held() -> dict[str, str]:
    """How each limit is held on this machine: ``kernel``, ``watch`` or, for `cpus` without control groups, ``""``."""
    kernel = homes(("memory", "processes", "cpus"))
    held = {limit: "kernel" if limit in kernel else "watch" for limit in ("memory", "processes")}
    return {**held, "cpus": "kernel" if "cpus" in kernel else "", "disk": "watch", "output": "watch"}


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(which, (value, value))
