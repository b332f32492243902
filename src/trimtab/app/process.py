"""What the kernel says of a process."""

from __future__ import annotations

from pathlib import Path


def state_of(pid: int) -> str | None:
    """Its state's letter (``R`` runs, ``S`` sleeps, ``D`` waits for a device, ``T`` is stopped, ``t`` is traced, ``Z``
    has ended); None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # "PID (NAME) STATE ...", where the name may hold anything.
    return text.rpartition(")")[2].split()[0]


def is_paused(pid: int) -> bool:
    """Whether the process was stopped by a signal (SIGSTOP, Ctrl-Z) or is held by a debugger."""
    return state_of(pid) in ("T", "t")
