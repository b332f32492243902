"""The processes of an installation, told apart by their folder."""

from __future__ import annotations

from pathlib import Path

import psutil


def living(home: Path, marker: str = "") -> list[psutil.Process]:
    """Those that work below `home` or name it, and have `marker` in their command line."""
    mine = []
    for process in psutil.process_iter():
        try:
            place = " ".join([process.cwd(), *process.cmdline()])
            status = process.status()
        except (psutil.Error, OSError):
            continue  # it is gone; or another test's, whose folder has a name that is too long on purpose
        if str(home) in place and marker in place and status != psutil.STATUS_ZOMBIE:
            mine.append(process)
    return mine
