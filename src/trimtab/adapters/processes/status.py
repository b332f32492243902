"""What a supervisor recorded, as a status that people can read."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import cast

from trimtab.adapters.processes.usage import Usage
from trimtab.core.errors import Problem
from trimtab.core.say import count, size
from trimtab.ports.processes import ProcessPhase, ProcessStatus

LIVE_PHASES = ("starting", "running", "backing_off")


def status_of(name: str, state: Mapping[str, str], spec: Mapping[str, str], usage: Usage) -> ProcessStatus:
    """The status; `spec` holds single fields only, of `argv` the first."""
    phase = cast(ProcessPhase, state["phase"])
    return ProcessStatus(
        name=name,
        phase=phase,
        pid=int(state["pid"]) if phase == "running" else None,
        started_at=float(state.get("started_at", 0.0)),
        ended_at=_float(state.get("ended_at")),
        exit_code=_int(state.get("exit_code")),
        signal=_int(state.get("signal")),
        timed_out=state.get("timed_out") == "1",
        stopped=state.get("stopped") == "1",
        over_limit=state.get("over_limit", ""),
        restarts=int(state.get("restarts", 0)),
        cpu_s=float(state.get("cpu_s", 0.0)) + usage.cpu_s,
        rss_bytes=usage.rss_bytes,
        confined=state.get("confined", "1") == "1",
        problem=_problem(name, phase, state, spec),
        cwd=spec.get("cwd", ""),
    )


def _problem(name: str, phase: str, state: Mapping[str, str], spec: Mapping[str, str]) -> Problem | None:
    if phase == "lost":
        return Problem(
            "supervisor-lost",
            "Its supervisor was killed, or the machine was restarted, so its end is not known.",
            "Start it again; if this happens often, look for the kernel's out-of-memory killer.",
            name,
        )
    if "not_started" in state:
        return _not_started(name, state["not_started"], spec)
    if phase not in ("exited", "backing_off") or state.get("stopped") == "1":
        return None
    if state.get("over_limit"):
        return _over_limit(name, state, spec)
    if state.get("timed_out") == "1":
        return Problem(
            "process-timed-out",
            f"It ran longer than {float(spec['timeout_s']):g} s and was ended{_last_line(state)}.",
            "Raise its timeout if it needs longer.",
            name,
        )
    if state.get("output_lost") == "1":
        return Problem(
            "log-disk-full",
            f"It {_how_it_ended(state)}; the end of its output is lost, for the disk was full for too long.",
            "Make space where its log is, and run it again.",
            name,
        )
    if phase == "exited" and state.get("exit_code") == "0":
        return None
    again = ", and will be started again" if phase == "backing_off" else ""
    return Problem("process-failed", f"It {_how_it_ended(state)}{again}{_last_line(state)}.", "Read its log.", name)


def _over_limit(name: str, state: Mapping[str, str], spec: Mapping[str, str]) -> Problem:
    limit = state["over_limit"]
    number = float(spec.get(f"limit_{limit}", 0.0))
    what, hint = {
        "memory": (f"used more than {size(number)} of memory", "or let it need less"),
        "processes": (f"had more than {count(int(number), 'process')} and threads", "or let it start fewer at a time"),
        "disk": (f"wrote more than {size(number)} of files", "or let it keep less"),
        "output": (f"printed more than {size(number)}", "or let it print less"),
    }[limit]
    message = f"It {what} and was ended{_last_line(state)}."
    return Problem("process-over-limit", message, f"Raise `limits.{limit}`, {hint}.", name)


def _not_started(name: str, failure: str, spec: Mapping[str, str]) -> Problem:
    stage, _, number = failure.partition(" ")
    why = os.strerror(int(number)) if number else "it ended before it could run"
    if stage == "chdir":
        return Problem(
            "folder-missing", f"It cannot run in {spec['cwd']}: {why}.", "Check that the folder is there.", name
        )
    if stage == "limits":
        hint = "Try it again; `trimtab doctor sandbox` tells how limits are held here."
        return Problem("limits-not-set", f"Its limits could not be set: {why}.", hint, name)
    if why == os.strerror(2):
        return Problem(
            "command-not-found",
            f"The command {spec['argv']!r} was not found.",
            "Install it, or check its spelling, its PATH and, for a script, the interpreter in its first line.",
            name,
        )
    return Problem(
        "command-not-run", f"The command {spec['argv']!r} cannot be run: {why}.", "Is it an executable file?", name
    )


def _how_it_ended(state: Mapping[str, str]) -> str:
    """``ended with exit code 3`` or ``was ended by SIGKILL``."""
    number = _int(state.get("signal"))
    if number is None:
        return f"ended with exit code {state.get('exit_code', '?')}"
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"was ended by signal {number}"


def _last_line(state: Mapping[str, str]) -> str:
    line = state.get("last_line", "")
    return f"; its last line was: {line.removesuffix('.')}" if line else ""


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
