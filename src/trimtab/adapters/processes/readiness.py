"""From what a process does and what its health check answers to the phase of an instance. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.core.errors import Problem
from trimtab.ports.processes import ProcessStatus

ENDS_BEFORE_FAILED = 3
"""An instance that ended this often before it was ever ready has failed."""
MISSES_BEFORE_UNHEALTHY = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One health check: what was asked, and what was wrong with the answer (empty: nothing)."""

    asked: str
    wrong: str
    last_line: str = ""
    """The last line of the instance's log."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of one instance."""

    phase: str = "starting"
    started_at: float = 0.0
    """When the process was started that this was seen of."""
    was_ready: bool = False
    misses: int = 0
    problem: Problem | None = None


def judge(before: Sight, process: ProcessStatus, check: Check | None, now: float, health_timeout_s: float) -> Sight:
    """The next sight. `check` None: the instance was not asked. A failed instance that answers well is ready again."""
    if process.phase in ("exited", "lost"):
        return Sight("failed", process.started_at, problem=process.problem)
    if process.phase == "backing_off":
        return _ended(before, process)
    if process.started_at != before.started_at and before.phase != "failed":
        before = Sight(started_at=process.started_at, was_ready=before.was_ready)
    if check is None:
        return before
    if not check.wrong:
        return Sight("ready", process.started_at, was_ready=True)
    if before.phase in ("ready", "unhealthy"):
        return _missed(before, process, check)
    if before.phase == "starting" and now - process.started_at >= health_timeout_s:
        text = f"It was not ready within {health_timeout_s:g} s: {_what_was_got(check)}"
        hint = "Check the command, its port and the health check's path, or raise the health check's timeout."
        return replace(before, phase="failed", problem=Problem("instance-not-ready", text, hint, process.name))
    return before


def _ended(before: Sight, process: ProcessStatus) -> Sight:
    ends = process.restarts + 1
    if before.was_ready or ends < ENDS_BEFORE_FAILED:
        phase = before.phase if before.phase == "failed" else "backing_off"
        return Sight(phase, process.started_at, before.was_ready, problem=process.problem)
    why = f" {process.problem.message}" if process.problem else ""
    text = f"It ended {ends} times and was never ready.{why}"
    return Sight("failed", process.started_at, problem=Problem("instance-failed", text, "Read its log.", process.name))


def _missed(before: Sight, process: ProcessStatus, check: Check) -> Sight:
    misses = before.misses + 1
    if misses < MISSES_BEFORE_UNHEALTHY:
        return replace(before, misses=misses)
    text = f"It was ready and is not any more: {_what_was_got(check)}"
    problem = Problem("instance-unhealthy", text, "Read its log.", process.name)
    return replace(before, phase="unhealthy", misses=misses, problem=problem)


def _what_was_got(check: Check) -> str:
    line = f"; its last line was: {check.last_line.removesuffix('.')}" if check.last_line else ""
    return f"{check.asked} got {check.wrong}{line}."
