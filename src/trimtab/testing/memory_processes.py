"""The port `Processes` in memory: the test decides how each process ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.core.errors import Problem, failure
from trimtab.ports.clock import Clock
from trimtab.ports.processes import ProcessSpec, ProcessStatus, refuse_short_secrets

_BACK_OFF_S = 0.1
_SIGKILL = 9
_SIGTERM = 15
_LIVE = ("starting", "running", "backing_off")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ends by itself: `after_s` of the clock's time."""

    after_s: float
    exit_code: int = 0
    output: str = ""


@dataclass(slots=True)
class _Process:
    spec: ProcessSpec
    status: ProcessStatus
    ending: Ending | None


class MemoryProcesses:
    """Processes that only exist on paper. They run until `finish` or `lose` is called, or as `behaviour` says.

    Time passes by the clock only, and is looked at when a process is asked about. Logs are written below `logs`.
    A command in `missing_commands` is not found.
    """

    def __init__(
        self, clock: Clock, logs: Path, behaviour: Callable[[ProcessSpec], Ending | None] = lambda _spec: None
    ) -> None:
        self.missing_commands: set[str] = set()
        self._clock = clock
        self._logs = logs
        self._behaviour = behaviour
        self._processes: dict[str, _Process] = {}
        self._pids = itertools.count(1000)
        self._callbacks: list[Callable[[str], None]] = []

    # --- what the test does ------------------------------------------------------------------------------------------

    def finish(self, name: str, exit_code: int = 0, output: str = "") -> None:
        """The process writes `output` and ends."""
        process = self._processes[name]
        for secret in process.spec.secrets.values():
            output = output.replace(secret.strip(), "***")
        said = f"{output}\n" if output else ""
        most = process.spec.limits.output_bytes if process.spec.limits is not None else None
        if said:
            log = self.log_path(name)
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as file:
                file.write(said[:most])
        if most is not None and len(said) > most:
            self.exceed(name, "output")
            return
        problem = None
        if exit_code != 0:
            last_line = f"; its last line was: {output}" if output else ""
            problem = Problem(
                "process-failed", f"It ended with exit code {exit_code}{last_line}.", "Read its log.", name
            )
        phase = "backing_off" if process.spec.restart else "exited"
        self._change(process, phase=phase, exit_code=exit_code, problem=problem)

    def exceed(self, name: str, limit: str) -> None:
        """The process uses more than its limit and is killed."""
        hint = f"Raise `limits.{limit}`, or let it use less."
        problem = Problem("process-over-limit", f"It used more {limit} than its limit and was ended.", hint, name)
        self._change(self._processes[name], phase="exited", signal=_SIGKILL, over_limit=limit, problem=problem)

    def lose(self, name: str) -> None:
        """The supervisor and its process are killed."""
        problem = Problem("supervisor-lost", "Its supervisor was killed.", "Start it again.", name)
        self._change(self._processes[name], phase="lost", problem=problem)

    # --- the port ----------------------------------------------------------------------------------------------------

    async def start(self, spec: ProcessSpec) -> ProcessStatus:
        if spec.name.startswith("/") or " " in spec.name or not spec.name:
            raise failure("process-name", f"{spec.name!r} cannot name a process.")
        refuse_short_secrets(spec)
        if spec.name not in self._processes:
            pid, now = next(self._pids), self._clock.now()
            status = ProcessStatus(spec.name, "running", pid=pid, started_at=now, cwd=spec.cwd)
            process = self._processes[spec.name] = _Process(spec, status, self._behaviour(spec))
            if spec.argv[0] in self.missing_commands:
                text = f"The command {spec.argv[0]!r} was not found."
                self._change(
                    process, phase="exited", exit_code=127, problem=Problem("command-not-found", text, where=spec.name)
                )
        return self._now(spec.name).status

    async def status(self, name: str) -> ProcessStatus | None:
        return self._now(name).status if name in self._processes else None

    async def list(self, prefix: str) -> tuple[ProcessStatus, ...]:
        return tuple(self._now(name).status for name in sorted(self._processes) if name.startswith(prefix))

    async def stop(self, name: str) -> None:
        if name in self._processes and self._now(name).status.phase in _LIVE:
            self._change(self._processes[name], phase="exited", signal=_SIGTERM, stopped=True, problem=None)

    async def forget(self, name: str) -> None:
        if name not in self._processes:
            return
        if self._now(name).status.phase in _LIVE:
            raise failure("process-running", "Only a process that has ended can be forgotten.", "Stop it first.", name)
        del self._processes[name]
        self.log_path(name).unlink(missing_ok=True)

    def log_path(self, name: str) -> Path:
        return self._logs / name / "log"

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._callbacks.append(callback)

    # --- time --------------------------------------------------------------------------------------------------------

    def _now(self, name: str) -> _Process:
        """The process with all that time has brought."""
        process = self._processes[name]
        ended_at = process.status.ended_at
        if process.status.phase == "backing_off" and ended_at is not None:
            if self._clock.now() >= ended_at + _BACK_OFF_S:
                self._start_again(process)
            return process
        if process.status.phase != "running":
            return process
        age_s = self._clock.now() - process.status.started_at
        limit_s, ending = process.spec.timeout_s, process.ending
        in_time = ending is not None and (limit_s is None or ending.after_s <= limit_s)
        if ending is not None and in_time and age_s >= ending.after_s:
            self.finish(name, ending.exit_code, ending.output)
        elif limit_s is not None and age_s >= limit_s:
            problem = Problem("process-timed-out", f"It ran longer than {limit_s:g} s and was ended.", where=name)
            self._change(process, phase="exited", signal=_SIGTERM, timed_out=True, problem=problem)
        return process

    def _start_again(self, process: _Process) -> None:
        process.status = ProcessStatus(
            process.spec.name,
            "running",
            pid=next(self._pids),
            started_at=self._clock.now(),
            restarts=process.status.restarts + 1,
            cwd=process.spec.cwd,
        )
        self._tell(process)

    def _change(self, process: _Process, **changes: object) -> None:
        ended: dict[str, object] = {"pid": None, "ended_at": self._clock.now(), **changes}
        process.status = replace(process.status, **ended)  # type: ignore[arg-type]
        self._tell(process)

    def _tell(self, process: _Process) -> None:
        for callback in self._callbacks:
            callback(process.spec.name)
