"""Is there space, and who takes it?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.adapters.envoy.access_log import ACCESS_LOG
from trimtab.app.doctor.place import READ_S, Place
from trimtab.views.findings import Finding, Severity

NAME = "disk"
FULL_BYTES, LOW_BYTES = 50_000_000, 1_000_000_000
FULL_NODES, LOW_NODES = 1_000, 20_000
_LARGE_LOG_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Disk:
    """`nodes`: how many more files there may be; None: the file system does not count them."""

    free_bytes: int
    total_bytes: int
    free_nodes: int | None
    database_bytes: int = 0
    log_bytes: int = 0
    """The database's."""
    access_log_bytes: int = 0
    artifacts_bytes: int = 0
    is_counted: bool = True
    """False: there was no time to count all artifacts."""
    where: str = ""


def look(place: Place) -> Iterator[Finding]:
    home, deadline = place.home, time.monotonic() + READ_S
    artifacts_bytes, is_counted = _below(home / "artifacts", deadline)
    yield from judge(
        replace(
            space(home),
            database_bytes=_size(home / "trimtab.db"),
            log_bytes=_size(home / "trimtab.db-wal"),
            access_log_bytes=sum(_size(path) for path in (home / "gateway").glob(f"{ACCESS_LOG}*")),
            artifacts_bytes=artifacts_bytes,
            is_counted=is_counted,
        )
    )


def space(folder: Path) -> Disk:
    """How much room there is, without looking who takes it."""
    status = os.statvfs(folder)
    return Disk(
        free_bytes=status.f_bavail * status.f_frsize,
        total_bytes=status.f_blocks * status.f_frsize,
        free_nodes=status.f_favail if status.f_files else None,
        where=str(folder),
    )


def judge(seen: Disk) -> Iterator[Finding]:
    uses = _uses(seen)
    do = "free some space: nothing is lost, and work goes on where it stopped"
    if seen.free_bytes < FULL_BYTES:
        what = f"The disk is full: {_bytes(seen.free_bytes)} of {_bytes(seen.total_bytes)} are free."
        yield Finding(NAME, "error", what, f"Nothing can be decided; traffic goes on. {uses}", do, seen.where)
    elif seen.free_bytes < LOW_BYTES:
        what = f"The disk is nearly full: {_bytes(seen.free_bytes)} of {_bytes(seen.total_bytes)} are free."
        yield Finding(NAME, "warning", what, uses, do, seen.where)
    else:
        what = f"{_bytes(seen.free_bytes)} of {_bytes(seen.total_bytes)} are free; {uses[0].lower()}{uses[1:]}"
        yield Finding(NAME, "ok", what)
    if seen.free_nodes is not None and seen.free_nodes < LOW_NODES:
        severity: Severity = "error" if seen.free_nodes < FULL_NODES else "warning"
        what = f"The file system has room for {seen.free_nodes:,} more files only (inodes)."
        do = "remove many small files; `df -i` shows it"
        yield Finding(NAME, severity, what, "It looks full although there is space.", do, seen.where)
    if seen.access_log_bytes > _LARGE_LOG_BYTES:
        what = f"The gateway's access log has {_bytes(seen.access_log_bytes)}."
        why = "It is rotated only while a controller runs."
        yield Finding(NAME, "warning", what, why, "`trimtab up`, or `trimtab doctor controller` if it runs", seen.where)


def _uses(seen: Disk) -> str:
    more = "" if seen.is_counted else " and more"
    parts = (
        f"database {_bytes(seen.database_bytes)} and its log {_bytes(seen.log_bytes)}",
        f"access log {_bytes(seen.access_log_bytes)}",
        f"releases {_bytes(seen.artifacts_bytes)}{more}",
    )
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _below(folder: Path, deadline: float) -> tuple[int, bool]:
    """How many bytes the files below a folder have, and whether all were counted in time."""
    total = 0
    for inner, _, files in os.walk(folder):
        if time.monotonic() > deadline:
            return total, False
        total += sum(_size(Path(inner, name)) for name in files)
    return total, True
