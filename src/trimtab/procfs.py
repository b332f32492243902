"""What Linux says in /proc of processes and of the locks that they hold."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal


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


def lockers(
    path: Path, kind: Literal["FLOCK", "POSIX"], how: Literal["READ", "WRITE"], first_byte: int = 0
) -> Iterator[int]:
    """The processes that hold such a lock on the file, from this byte on; none where nobody can tell. The file is not
    opened: closing it again would give up this process's own POSIX locks on it."""
    try:
        status, locks = path.stat(), Path("/proc/locks").read_text().splitlines()
    except OSError:
        return
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in locks:
        # ``5: FLOCK  ADVISORY  WRITE 4242 fe:01:1311 0 EOF``; an arrow stands before those that wait.
        words = line.split()
        if (words[1], words[3], words[5], words[6]) == (kind, how, place, str(first_byte)) and int(words[4]) > 0:
            yield int(words[4])


def end_if_paused(pid: int, holds: Callable[[], bool]) -> bool:
    """End (kill -9) a process that is paused while it holds something that others need; whether it was ended. `holds`
    is asked again when the process cannot be mistaken for another one of its number any more."""
    if not is_paused(pid):
        return False
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            if holds():
                signal.pidfd_send_signal(process, signal.SIGKILL)
                return True
        finally:
            os.close(process)
    return False
