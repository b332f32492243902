"""Starting supervisors, and reaching those that run."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import trimtab
from trimtab.adapters.processes import record
from trimtab.ports.processes import Limits, ProcessSpec

_PACKAGE_ROOT = str(Path(trimtab.__file__).parents[1])
# Not `-m`, which imports half the standard library first, and not the file itself, which would be compiled each time.
_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from trimtab.adapters.processes.supervisor import main; "
    "main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))"
)
_NO_SITE = ("-I", "-S", "-X", "utf8")


@dataclass(frozen=True, slots=True)
class Launched:
    """A supervisor that was just started: its process id, and where its events can be read."""

    pid: int
    events: int


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


def launch(folder: Path, spec: ProcessSpec) -> Launched | None:
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
        reader = open_events(folder)
        try:
            pid = _spawn(folder, lock, events)
        except OSError:
            os.close(reader)
            raise
        return Launched(pid, reader)
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


def _spawn(folder: Path, lock: int, events: int) -> int:
    """The supervisor in a session of its own: no terminal, and no signal to the controller's group, reaches it.

    The open lock is handed over, so there is no moment in which the record looks abandoned.
    """
    errors = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *_NO_SITE, "-c", _BOOT, _PACKAGE_ROOT, str(folder), str(lock), str(events)],
        _environment(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(folder / record.ERRORS), errors, 0o600),
            (os.POSIX_SPAWN_DUP2, lock, lock),
            (os.POSIX_SPAWN_DUP2, events, events),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT),
    )


def _environment() -> dict[str, str]:
    """Only what an interpreter may need to find its own libraries."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
