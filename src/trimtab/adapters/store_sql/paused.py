"""Who holds the right to write to a SQLite file. A controller that is paused (SIGSTOP, a frozen machine) in the middle
of a transaction keeps it, and without an end to that nobody could ever take over.

PostgreSQL ends such a transaction by itself (`idle_in_transaction_session_timeout`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from trimtab.procfs import end_if_paused, lockers

_WRITE_LOCK_BYTE = 120
"""Of the shared memory file that lies beside a file in WAL mode: SQLite's own constants, part of its file format."""

log = logging.getLogger(__name__)


def end_paused_writer(path: Path, may_end: Callable[[int], bool]) -> None:
    """End (kill -9) the process that holds the right to write, if it is paused and `may_end` agrees: a controller is
    built to be killed at any instruction, and its transaction never happens."""
    pid = _writer(path)
    if pid is not None and may_end(pid) and end_if_paused(pid, lambda: _writer(path) == pid):
        log.warning("controller %d was paused while it wrote to %s; it was ended so that others can go on", pid, path)


def _writer(path: Path) -> int | None:
    memory = path.with_name(f"{path.name}-shm")
    return next(lockers(memory, "POSIX", "WRITE", _WRITE_LOCK_BYTE), None)
