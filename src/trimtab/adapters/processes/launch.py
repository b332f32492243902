"""Starting supervisors, and reaching those that run."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.processes import record
from trimtab.adapters.processes.interpreter import spawn
from trimtab.adapters.processes.nursery import Nursery, NurseryUnusable
from trimtab.ports.processes import Limits, ProcessSpec

_PROGRAM = "trimtab.adapters.processes.supervisor"


@dataclass(frozen=True, slots=True)
class Launched:
    """A supervisor that was just started: where its events can be read, and its process id if it is our child."""

    events: int
    child: int | None


def spec_fields(spec: ProcessSpec) -> list[tuple[str, str]]:
    """The spec as the supervisor reads it."""
    fields = [
        ("name", spec.name),
        ("cwd", spec.cwd),
        ("restart", "1" if spec.restart else "0"),
        ("stop_timeout_s", str(spec.stop_timeout_s)),
        ("log_max_bytes", str(spec.log_max_bytes)),
        ("log_files", str(spec.log_files)),
    ]
    if spec.timeout_s is not None:
        fields.append(("timeout_s", str(spec.timeout_s)))
    fields += limit_fields(spec.limits) if spec.limits is not None else []
    fields += [("argv", argument) for argument in spec.argv]
    fields += [("env", f"{name}={value}") for name, value in spec.env.items()]
    fields += [("read_only", folder) for folder in spec.read_only]
    return fields


def limit_fields(limits: Limits) -> list[tuple[str, str]]:
    """Those that there are, by the names that `ProcessStatus.over_limit` and the settings have."""
    named = {
        "memory": limits.memory_bytes,
        "processes": limits.processes,
        "cpus": limits.cpus,
        "disk": limits.disk_bytes if limits.folder else None,
        "output": limits.output_bytes,
    }
    fields = [(f"limit_{name}", str(value)) for name, value in named.items() if value is not None]
    return [*fields, ("limits_folder", limits.folder)] if fields else []


def launch(nursery: Nursery, folder: Path, spec: ProcessSpec) -> Launched | None:
    """Write the spec and start its supervisor. None when someone else is at it. Raises OSError and ValueError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened: list[int] = []
    try:
        lock = os.open(folder / record.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        opened.append(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        record.write_fields(str(folder / record.SPEC), spec_fields(spec))
        if not (folder / record.EVENTS).exists():
            os.mkfifo(folder / record.EVENTS, 0o600)
        # For both directions: so a write works while no controller reads, and its end is seen however early it comes.
        events = os.open(folder / record.EVENTS, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        opened.append(events)
        if spec.secrets:
            opened.append(_keep_in_memory(spec.secrets))
        reader = open_events(folder)
        try:
            child = _begin(nursery, folder, tuple(opened))
        except OSError:
            os.close(reader)
            raise
        return Launched(reader, child)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def open_events(folder: Path) -> int:
    """A non-blocking descriptor that reads a byte for each change and end of file when the supervisor is gone."""
    return os.open(folder / record.EVENTS, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def is_alive(folder: Path) -> bool:
    """Whether the folder's supervisor lives."""
    try:
        lock = os.open(folder / record.LOCK, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        # Shared, so that two who ask at the same time do not take each other for a supervisor.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def signal_supervisor(folder: Path, pid: int, number: signal.Signals) -> None:
    """Signal the supervisor, and never another process that has its number by now."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Alive after the handle was taken: so the handle is the supervisor's.
        if is_alive(folder):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _keep_in_memory(secrets: Mapping[str, str]) -> int:
    """A descriptor from which they can be read, and nothing on any disk."""
    descriptor = os.memfd_create("trimtab-secrets", os.MFD_CLOEXEC)
    content = memoryview(record.encode(secrets.items()))
    while content:
        content = content[os.write(descriptor, content) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _begin(nursery: Nursery, folder: Path, descriptors: tuple[int, ...]) -> int | None:
    """A supervisor for the folder, forked or, should that fail, started. Its process id if it is to be waited for.

    The open lock is handed over, so there is no moment in which the record looks abandoned.
    """
    try:
        nursery.fork(folder, descriptors)
    except NurseryUnusable:
        return spawn(_PROGRAM, (str(folder), *descriptors), descriptors, str(folder / record.ERRORS))
    return None
