"""Supervised processes that outlive the controller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from trimtab.core.errors import Problem, failure

ProcessPhase = Literal["starting", "running", "backing_off", "exited", "lost"]
"""``lost``: its supervisor is gone without having written an end (killed, or the machine was restarted)."""

SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process and everything below it may use. None: as much as there is."""

    memory_bytes: int | None = None
    processes: int | None = None
    cpus: float | None = None
    """Processors' worth of time: 0.5 is half of one."""
    disk_bytes: int | None = None
    """What it may write below `folder`."""
    folder: str = ""
    output_bytes: int | None = None
    """What it may print; it is ended before any of its output is lost."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to be supervised. `name` reads like a path (``step/shop/12/test/1``) and is its identity."""

    name: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment: nothing is inherited."""
    restart: bool = False
    """Start again with exponential back-off (0.1 s to 30 s; reset after 30 s of running) until stopped."""
    timeout_s: float | None = None
    """Ended by the supervisor after this time, controller or not."""
    stop_timeout_s: float = 10.0
    read_only: tuple[str, ...] = ()
    """Folders that the process sees read-only, where the kernel allows it (`ProcessStatus.confined`)."""
    limits: Limits | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Further variables of its environment. They are kept in memory only, and masked in its output: so none may be
    shorter than `SHORTEST_SECRET` characters, line breaks and white space around it not counted."""
    log_max_bytes: int = 16 * 1024 * 1024
    log_files: int = 3
    """The oldest of so many files goes when there would be one more. 0: nothing ever goes; there is one file, of any
    size, and the process waits when the disk is full."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What is known of a supervised process. Times in seconds since the epoch."""

    name: str
    phase: ProcessPhase
    pid: int | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    stopped: bool = False
    """Ended because it was asked to."""
    over_limit: str = ""
    """The limit that it was ended for: ``memory``, ``processes``, ``disk`` or ``output``."""
    restarts: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0
    confined: bool = True
    """False: the kernel allowed no read-only view, file permissions are all that protects `read_only` folders."""
    problem: Problem | None = None
    cwd: str = ""
    """The folder that it was started in."""


def refuse_short_secrets(spec: ProcessSpec) -> None:
    """Raises `TrimtabError`: something so short is in every text, and a log without it could not be read."""
    for name, secret in spec.secrets.items():
        if len(secret.strip().replace("\r", "").replace("\n", "")) < SHORTEST_SECRET:
            raise failure(
                "secret-too-short",
                f"The secret {name} has fewer than {SHORTEST_SECRET} characters, and could not be masked in the log.",
                "Give it a longer value, or make it an ordinary variable if it is none.",
                spec.name,
            )


class Processes(Protocol):
    """Starts, watches and stops processes.

    Each has a supervisor of its own that captures its output into rotated files, restarts it and enforces its time
    limit without the controller; a new controller finds them again by name.
    """

    async def start(self, spec: ProcessSpec) -> ProcessStatus:
        """Start it unless a process of this name exists (running or ended): then only its status. Returns once the
        process runs or could not be started (phase `exited` with a problem: command not found, folder missing).
        Raises `TrimtabError` for a secret that is too short to be masked."""
        ...

    async def status(self, name: str) -> ProcessStatus | None:
        """None when no process of this name was ever started or it was forgotten."""
        ...

    async def list(self, prefix: str) -> tuple[ProcessStatus, ...]:
        """All whose name starts with `prefix`, sorted by name."""
        ...

    async def stop(self, name: str) -> None:
        """SIGTERM to its process group, SIGKILL after `stop_timeout_s`; returns when it has ended. Idempotent."""
        ...

    async def forget(self, name: str) -> None:
        """Remove the record and log of an ended process. Idempotent; a running one is an error."""
        ...

    def log_path(self, name: str) -> Path:
        """The current log file (older ones have .1, .2, ... appended)."""
        ...

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Call back with the name, from the event loop, soon after a phase changed. Only a hint: it may be missed."""
        ...
