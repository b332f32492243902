"""A control group of its own for one process and all below it: limits that the kernel holds.

Version 2 is used where a folder above the one we are in may be written (delegated, or root's), version 1 for the
controllers that are mounted that way. What cannot be had is left out: `Group.holds` says what is held. A supervisor
imports this: standard library only.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Settings = tuple[tuple[str, str], ...]

_CONTROLLERS = {"memory": "memory", "processes": "pids", "cpus": "cpu"}
"""The limit and the controller that holds it."""
_NAME = "trimtab-"
_PERIOD_US = 100_000
_REMOVAL_S = 2.0
_CHARGED_AT_ONCE_BYTES = 4 * 1024 * 1024
"""So far below its limit a group may be when the kernel finds that it cannot have more (huge pages)."""
_OPTIONAL = ("memory.memsw.limit_in_bytes", "memory.swap.max", "memory.oom.group")
"""Not there without swap accounting, or before Linux 4.19."""


Homes = dict[str, tuple[int, str]]
"""By limit: the version of control groups, and a folder."""


class Group:
    """One group, in one folder or, with version 1, in a folder for each controller."""

    def __init__(self, limits: dict[str, float], settled: Homes | None = None) -> None:
        """Make it. `limits`: ``memory`` in bytes, ``processes``, ``cpus``. `settled`: of groups that this process is in
        already (see `settle`), and which its children need not enter."""
        self.holds: set[str] = set()
        self._folders: dict[str, str] = {}
        """By limit; with version 2 they are all the same."""
        self._settled: set[str] = set()
        self._before: dict[str, int] = {}
        for limit, (version, folder) in (settled or {}).items():
            self._take(limit, version, folder, limits)
        for limit, (version, parent) in homes(tuple(limits.keys() - self.holds)).items():
            try:
                folder = self._make(parent)
                for name, value in _settings(version, limit, limits[limit]):
                    _write(f"{folder}/{name}", value)
            except OSError:
                continue
            self._folders[limit] = folder
            self.holds.add(limit)

    def _take(self, limit: str, version: int, folder: str, limits: dict[str, float]) -> None:
        """Use a group that this process is in: it counts as a process, too."""
        if limit not in limits:
            return
        try:
            for name, value in _settings(version, limit, limits[limit] + (limit == "processes")):
                _write(f"{folder}/{name}", value)
        except OSError:
            return
        self._folders[limit] = folder
        self._settled.add(folder)
        self.holds.add(limit)

    def enter(self) -> None:
        """Move the calling process into it. Raises OSError."""
        for folder in sorted(set(self._folders.values()) - self._settled):
            _write(f"{folder}/cgroup.procs", str(os.getpid()))

    def begin(self) -> None:
        """From now on `exceeded` counts anew."""
        self._before = {}
        self._before = {limit: self._times(limit) for limit in ("memory", "processes")}

    def exceeded(self) -> str:
        """The limit that the kernel has refused to exceed; empty: none."""
        for limit in ("memory", "processes"):
            if self._times(limit) > self._before.get(limit, 0):
                return limit
        return ""

    def remove(self) -> None:
        """What was in it has ended; the kernel may take a moment to notice."""
        for folder in self._settled:
            _leave(folder)
        for folder in set(self._folders.values()):
            give_up_at = time.monotonic() + _REMOVAL_S
            while not _remove(folder) and time.monotonic() < give_up_at:
                time.sleep(0.005)

    def _make(self, parent: str) -> str:
        folder = f"{parent}/{_NAME}{os.getpid()}"
        if folder not in self._folders.values():
            _remove_abandoned(parent)
            os.makedirs(folder, exist_ok=True)
        return folder

    def _times(self, limit: str) -> int:
        """How often the kernel killed a process of this group for its memory, or refused it one more process."""
        folder = self._folders.get(limit)
        if folder is None:
            return 0
        if limit == "processes":
            return _counter(f"{folder}/pids.events", "max")
        if os.path.exists(f"{folder}/memory.oom_control"):
            # Killed because of this limit, and not because the whole machine had no memory left.
            most = _counter(f"{folder}/memory.max_usage_in_bytes", "") + _CHARGED_AT_ONCE_BYTES
            reached = most >= _counter(f"{folder}/memory.limit_in_bytes", "")
            return _counter(f"{folder}/memory.oom_control", "oom_kill") if reached else 0
        local = f"{folder}/memory.events.local"
        return _counter(local if os.path.exists(local) else f"{folder}/memory.events", "oom")


def settle() -> Homes:
    """Move this process into a group of its own for each limit that the kernel can hold and that most steps have.

    Moving takes the kernel some milliseconds, in which it waits for all processors; making a child does not. So this is
    done in advance, by a supervisor that waits for its task.
    """
    settled: Homes = {}
    for limit, (version, parent) in homes(("memory", "processes")).items():
        folder = f"{parent}/{_NAME}{os.getpid()}"
        try:
            if not os.path.isdir(folder):
                _remove_abandoned(parent)
                os.mkdir(folder)
                _write(f"{folder}/cgroup.procs", str(os.getpid()))
        except OSError:
            continue
        settled[limit] = version, folder
    return settled


def unsettle(settled: Homes) -> None:
    """Undo `settle`: there was nothing to do."""
    for folder in {folder for _, folder in settled.values()}:
        _leave(folder)
        _remove(folder)


def _leave(folder: str) -> None:
    """Go from a group of our own to the one above it, or as far up as processes may be."""
    while os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
        try:
            _write(f"{folder}/cgroup.procs", str(os.getpid()))
        except OSError:
            continue
        return


def homes(wanted: tuple[str, ...]) -> Homes:
    """For each of the wanted limits that can be held: the version, and the folder in which a group can be made."""
    found: Homes = {}
    if not wanted:
        return found
    mounts, paths = list(_mounts()), _paths()
    for limit, controller in _CONTROLLERS.items():
        if limit in wanted:
            for mount, root, options in mounts:
                path = paths.get(controller)
                folder = _below(mount, root, path) if path is not None and controller in options else None
                if folder is not None and os.access(folder, os.W_OK):
                    found[limit] = 1, folder
    left = {limit: _CONTROLLERS[limit] for limit in _CONTROLLERS if limit in wanted and limit not in found}
    for mount, root, options in mounts:
        own = _below(mount, root, paths.get("", "/")) if not options and left else None
        if own is not None:
            folder, held = _delegated(own, mount, left)
            found |= dict.fromkeys(held, (2, folder))
    return found


def _delegated(own: str, top: str, wanted: dict[str, str]) -> tuple[str, set[str]]:
    """The nearest folder from `own` upwards in which a group can be made that holds most of what is wanted."""
    best: tuple[str, set[str]] = ("", set())
    for enable in (False, True):
        folder = own
        while folder.startswith(top) and _may_make(folder):
            enabled = set(_read(f"{folder}/cgroup.subtree_control").split())
            if enable:
                enabled |= set(_enable(folder, set(wanted.values()) - enabled))
            held = {limit for limit, controller in wanted.items() if controller in enabled}
            if len(held) > len(best[1]):
                best = (folder, held)
            folder = os.path.dirname(folder)
        if best[1]:
            break  # nothing is changed where something is enabled already
    return best


def _may_make(folder: str) -> bool:
    """A process is moved from one group to another by who may write to the group above both."""
    return os.access(folder, os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


def _enable(folder: str, controllers: set[str]) -> Iterator[str]:
    """Refused by the kernel where a process is in the folder itself."""
    for controller in sorted(controllers & set(_read(f"{folder}/cgroup.controllers").split())):
        try:
            _write(f"{folder}/cgroup.subtree_control", f"+{controller}")
        except OSError:
            continue
        yield controller


def _settings(version: int, limit: str, value: float) -> Settings:
    number = str(int(value))
    if limit == "processes":
        return (("pids.max", number),)
    quota = str(max(1000, int(value * _PERIOD_US)))
    if version == 1:
        if limit == "memory":
            return (("memory.limit_in_bytes", number), ("memory.memsw.limit_in_bytes", number))
        return (("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", quota))
    if limit == "memory":
        return (("memory.max", number), ("memory.swap.max", "0"), ("memory.oom.group", "1"))
    return (("cpu.max", f"{quota} {_PERIOD_US}"),)


def _mounts() -> Iterator[tuple[str, str, set[str]]]:
    """Each hierarchy: where it is mounted, which folder of it, and its controllers (none: it is version 2)."""
    for line in _read("/proc/self/mountinfo").splitlines():
        # ID PARENT MAJOR:MINOR ROOT MOUNT OPTIONS ... - TYPE SOURCE OPTIONS
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if kind[0] == "cgroup":
            yield words[4], words[3], set(kind[-1].split(","))
        elif kind[0] == "cgroup2":
            yield words[4], words[3], set()


def _paths() -> dict[str, str]:
    """The group that this process is in, by controller; that of version 2 by the empty name."""
    found: dict[str, str] = {}
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _below(mount: str, root: str, path: str) -> str | None:
    """The folder of a group; None where only another part of the hierarchy is mounted."""
    root = root.rstrip("/")
    if path != root and not path.startswith(f"{root}/"):
        return None
    return (mount + path[len(root) :]).rstrip("/")


def _remove_abandoned(parent: str) -> None:
    """Groups of supervisors that were killed: theirs ended with them."""
    for name in os.listdir(parent):
        pid = name.removeprefix(_NAME)
        if name.startswith(_NAME) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            _remove(f"{parent}/{name}")


def _remove(folder: str) -> bool:
    """Whether it is gone. One that cannot be removed now is removed by the next one who makes a group."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _counter(path: str, key: str) -> int:
    """The number after the key; without a key, the only number there is."""
    for line in _read(path).splitlines():
        name, _, number = line.rpartition(" ")
        if name == key:
            return int(number)
    return 0


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    if os.path.basename(path) in _OPTIONAL and not os.path.exists(path):
        return
    with open(path, "w") as file:
        file.write(value)
