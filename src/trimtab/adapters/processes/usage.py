"""Processor time and memory of supervised processes."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_s: float = 0.0
    rss_bytes: int = 0


def usage_by_session(supervisors: Collection[int]) -> dict[int, Usage]:
    """What runs below each supervisor uses now, itself not counted.

    A supervisor leads a session, so one pass over the process ids and one system call for each finds all of them.
    """
    sums: dict[int, Usage] = {}
    for pid, session in _sessions():
        if session in supervisors and pid != session:
            sums[session] = _plus(sums.get(session, Usage()), pid)
    return sums


def members(session: int, group: int) -> list[int]:
    """Processes of the group in the session."""
    found = []
    for pid, its_session in _sessions():
        try:
            if its_session == session and os.getpgid(pid) == group:
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


def _sessions() -> list[tuple[int, int]]:
    found = []
    for pid in psutil.pids():
        try:
            found.append((pid, os.getsid(pid)))
        except (ProcessLookupError, PermissionError):
            continue
    return found


def _plus(sum_: Usage, pid: int) -> Usage:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, memory = process.cpu_times(), process.memory_info()
    except psutil.Error:
        return sum_
    return Usage(sum_.cpu_s + times.user + times.system, sum_.rss_bytes + memory.rss)
