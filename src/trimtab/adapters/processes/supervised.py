"""The port `Processes`: every process has a supervisor of its own, which does not need the controller."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from trimtab.adapters.processes import record
from trimtab.adapters.processes.launch import Launched, is_alive, launch, open_events, signal_supervisor
from trimtab.adapters.processes.nursery import Nursery
from trimtab.adapters.processes.status import LIVE_PHASES, status_of
from trimtab.adapters.processes.supervisor import boot_id
from trimtab.adapters.processes.usage import Usage, members, usage_by_session
from trimtab.core.errors import failure
from trimtab.ports.processes import ProcessSpec, ProcessStatus, refuse_short_secrets

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*(/[A-Za-z0-9][A-Za-z0-9._@-]*)*")
_LONGEST_NAME = 200
_LOOK_AGAIN_S = 0.25
"""A lost event costs this much time, and nothing else."""
_SUPERVISOR_GRACE_S = 10.0
"""How much longer than its process may take to stop, a supervisor may take to say so."""

State = Mapping[str, str]


class SupervisedProcesses:
    """Processes below one folder: ``home/NAME`` with ``+`` for each ``/`` holds a record and its logs.

    Nothing of value is in memory: whoever opens the same folder later, finds the same processes. Use it from one event
    loop, and `close` it at the end; the processes go on.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._watches: dict[str, _Watch] = {}
        self._callbacks: list[Callable[[str], None]] = []
        self._adopted = False
        self._nursery = Nursery()

    async def start(self, spec: ProcessSpec) -> ProcessStatus:
        refuse_short_secrets(spec)
        self._adopt()
        folder = self._folder(spec.name)
        launched: Launched | None = None
        while True:
            state = self._state(spec.name)
            if state is None:
                if launched is not None:
                    raise _supervisor_failed(spec.name, folder)
                launched = self._launch(folder, spec)
            elif state["phase"] != "starting":
                # What has just begun has used nothing yet that would be worth looking for.
                return self._statuses({spec.name: state}, with_usage=launched is None)[0]
            await self._change(spec.name)

    async def status(self, name: str) -> ProcessStatus | None:
        self._adopt()
        state = self._state(name)
        return None if state is None else self._statuses({name: state})[0]

    async def list(self, prefix: str) -> tuple[ProcessStatus, ...]:
        self._adopt()
        states = {name: state for name in self._names(prefix) if (state := self._state(name)) is not None}
        return self._statuses(states)

    async def stop(self, name: str) -> None:
        self._adopt()
        folder = self._folder(name)
        kill_at: float | None = None
        while (state := self._state(name)) is not None and state["phase"] in LIVE_PHASES:
            if "supervisor" in state:
                if kill_at is None:
                    signal_supervisor(folder, int(state["supervisor"]), signal.SIGTERM)
                    kill_at = time.monotonic() + self._stop_timeout_s(folder) + _SUPERVISOR_GRACE_S
                elif time.monotonic() >= kill_at:
                    signal_supervisor(folder, int(state["supervisor"]), signal.SIGKILL)
            await self._change(name)

    async def kill(self, name: str) -> None:
        """End it at once, and its supervisor with it; returns when it has ended. Idempotent."""
        self._adopt()
        folder = self._folder(name)
        while (state := self._state(name)) is not None and state["phase"] in LIVE_PHASES:
            if "supervisor" in state:
                signal_supervisor(folder, int(state["supervisor"]), signal.SIGKILL)
            await self._change(name)

    async def forget(self, name: str) -> None:
        self._adopt()
        folder = self._folder(name)
        while is_alive(folder):
            state = self._state(name)
            if state is None or state["phase"] in LIVE_PHASES:
                text = "Only a process that has ended can be forgotten."
                raise failure("process-running", text, "Stop it first.", name)
            # Its end is on record: the supervisor is about to be gone, too.
            await self._change(name)
        # First: without a state there is no process, should this be interrupted.
        (folder / record.STATE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def log_path(self, name: str) -> Path:
        return self._folder(name) / record.LOG

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._callbacks.append(callback)

    async def close(self) -> None:
        """Stop watching."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        self._nursery.close()

    # --- records -----------------------------------------------------------------------------------------------------

    def _folder(self, name: str) -> Path:
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise failure(
                "process-name",
                f"{name!r} cannot name a process.",
                f"Use up to {_LONGEST_NAME} letters, digits, '.', '_', '@' and '-', in segments parted by '/'.",
            )
        return self._home / name.replace("/", "+")

    def _names(self, prefix: str) -> tuple[str, ...]:
        try:
            names = [entry.replace("+", "/") for entry in os.listdir(self._home)]
        except FileNotFoundError:
            return ()
        return tuple(sorted(name for name in names if name.startswith(prefix) and _NAME.fullmatch(name)))

    def _state(self, name: str) -> State | None:
        """The record of the process, with `lost` in it if that is what it is. None: there is no such process."""
        folder = self._folder(name)
        # In this order: a supervisor writes its last word before it dies.
        alive = is_alive(folder)
        fields = record.read_fields(str(folder / record.STATE))
        if alive:
            return dict(fields) if fields else {"phase": "starting"}
        if not fields:
            return None
        state = dict(fields)
        return _lose(folder, state) if state["phase"] in LIVE_PHASES else state

    def _statuses(self, states: Mapping[str, State], *, with_usage: bool = True) -> tuple[ProcessStatus, ...]:
        supervisors = {int(state["supervisor"]) for state in states.values() if state["phase"] == "running"}
        usage = usage_by_session(supervisors) if supervisors and with_usage else {}
        statuses = []
        for name, state in states.items():
            # Reversed, so that of the repeated fields the first remains.
            spec = dict(reversed(record.read_fields(str(self._folder(name) / record.SPEC)) or []))
            statuses.append(status_of(name, state, spec, usage.get(int(state.get("supervisor", 0)), Usage())))
        return tuple(statuses)

    def _stop_timeout_s(self, folder: Path) -> float:
        return float(dict(record.read_fields(str(folder / record.SPEC)) or []).get("stop_timeout_s", 0.0))

    # --- supervisors -------------------------------------------------------------------------------------------------

    def _launch(self, folder: Path, spec: ProcessSpec) -> Launched | None:
        try:
            launched = launch(self._nursery, folder, spec)
        except (OSError, ValueError) as error:
            raise failure(
                "process-not-started",
                f"No supervisor could be started: {error}.",
                f"Check the free space in {self._home} and the limit on processes.",
                spec.name,
            ) from error
        if launched is not None:
            self._watch(spec.name, launched.events, launched.child)
        return launched

    def _adopt(self) -> None:
        """Once: watch what an earlier controller started."""
        if not self._adopted:
            self._adopted = True
            for name in self._names(""):
                self._watch_if_alive(name)

    def _watch_if_alive(self, name: str) -> None:
        folder = self._folder(name)
        try:
            events = open_events(folder)
        except OSError:
            return
        # Alive after the events were opened: so their end will be heard.
        if is_alive(folder):
            self._watch(name, events, None)
        else:
            os.close(events)

    def _watch(self, name: str, events: int, child: int | None) -> None:
        self._watches[name] = _Watch(events, child, lambda ended: self._heard(name, ended))

    def _heard(self, name: str, ended: bool) -> None:
        if ended:
            self._watches.pop(name).close()
        for callback in self._callbacks:
            callback(name)

    async def _change(self, name: str) -> None:
        """Until something happened to the process, or some time has passed."""
        if name not in self._watches:
            self._watch_if_alive(name)
        watch = self._watches.get(name)
        if watch is not None:
            await watch.event()


class _Watch:
    """What is heard of one supervisor."""

    def __init__(self, events: int, child: int | None, heard: Callable[[bool], None]) -> None:
        self._events = events
        self._child = child
        self._heard = heard
        self._happened = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(events, self._read)

    async def event(self) -> None:
        try:
            await asyncio.wait_for(self._happened.wait(), _LOOK_AGAIN_S)
        except TimeoutError:
            return

    def close(self) -> None:
        self._loop.remove_reader(self._events)
        os.close(self._events)

    def _read(self) -> None:
        ended = not os.read(self._events, 4096)
        self._happened.set()
        self._happened = asyncio.Event()
        if ended and self._child is not None:
            # It has closed everything but is not quite gone; waiting for that is not the loop's business.
            self._loop.run_in_executor(None, _reap, self._child)
        self._heard(ended)


def _reap(child: int) -> None:
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        return


def _lose(folder: Path, state: dict[str, str]) -> State:
    """Record that the supervisor is gone without a last word, and end what it could not take with it.

    The kernel killed the process itself; its children may live on. They are known by session *and* group, both of
    which only its supervisor's descendants can have in this boot.
    """
    if state.get("boot") == boot_id() and "pid" in state:
        for pid in members(int(state["supervisor"]), int(state["pid"])):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    state |= {"phase": "lost", "ended_at": str((folder / record.STATE).stat().st_mtime)}
    record.write_fields(str(folder / record.STATE), state.items(), durable=True)
    return state


def _supervisor_failed(name: str, folder: Path) -> Exception:
    try:
        complaint = (folder / record.ERRORS).read_text(errors="replace").strip().splitlines()[-1]
    except (OSError, IndexError):
        complaint = "it left no message"
    return failure(
        "supervisor-failed",
        f"The supervisor ended before it could start the process: {complaint}.",
        f"Read {folder / record.ERRORS}; check the free space there.",
        name,
    )
