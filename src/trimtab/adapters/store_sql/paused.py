"""Who holds the right to write to a SQLite file. A controller that is paused (SIGSTOP, a frozen machine) in the middle
of a transaction keeps it, and without an end to that nobody could ever take over.

PostgreSQL ends such a transaction by itself (`idle_in_transaction_session_timeout`).
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_WRITE_LOCK_BYTE = "120"
"""Of the shared memory file that lies beside a file in WAL mode: SQLite's own constants, part of its file format."""

log = logging.getLogger(__name__)


def end_paused_writer(path: Path, may_end: Callable[[int], bool]) -> None:
    """End (kill -9) the process that holds the right to write, if it is paused and `may_end` agrees: a controller is
    built to be killed at any instruction, and its transaction never happens."""
    pid = _writer(path)
    if pid is None or not _is_paused(pid) or not may_end(pid):
        return
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            if _writer(path) == pid:  # so it is the one that was looked at
                log.warning(
                    "controller %d was paused while it wrote to %s; it is ended so that others can go on", pid, path
                )
                signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)


def _writer(path: Path) -> int | None:
    """As the kernel says. The file itself is not opened: to close it again would give up this process's own locks."""
    try:
        status, locks = os.stat(f"{path}-shm"), Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in locks:
        # ``5: POSIX  ADVISORY  WRITE 4242 fe:01:1311 120 120``; an arrow stands before those that wait.
        words = line.split()
        if (
            words[1] == "POSIX"
            and words[3] == "WRITE"
            and words[5:7] == [place, _WRITE_LOCK_BYTE]
            and int(words[4]) > 0
        ):
            return int(words[4])
    return None


def _is_paused(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] in ("T", "t")
    except (OSError, IndexError):
        return False
