"""The program that looks after one process: captures its output, restarts it, ends it in time, records its end.

It is a process of its own so that it outlives the controller. A nursery forks it (`forker`) or, where there is none, an
interpreter is started for it in some 15 ms, for which a pipeline step waits: standard library only, and of that only
what is cheap to import. It is started with the lock of the record's folder already held; see `record` for the folder.
SIGTERM means: end the process, then yourself. If the supervisor is killed, the kernel kills its process. If the record
is removed, the process is ended: nobody could ever find it again.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import resource  # noqa: F401  (wait4 imports it: better before a nursery forks than in each supervisor)
import select
import time

from trimtab.adapters.processes import child, kernel, record, tree
from trimtab.adapters.processes.limits import LOOK_S, Guard
from trimtab.adapters.processes.output import open_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.adapters.processes.cgroup import Homes
    from trimtab.adapters.processes.output import Log

_BACK_OFF_FIRST_S = 0.1
_BACK_OFF_LONGEST_S = 30.0
_STEADY_AFTER_S = 30.0
"""A process that ran this long starts its back-off anew."""
_RECORD_CHECK_S = 2.0
_SWEEP_S = 5.0
"""How long processes may take to die of SIGKILL before the end is recorded all the same."""
_CHUNK_BYTES = 65536
_FULL_DISK_CHECK_S = 0.25
_NEVER = float("inf")
_COULD_NOT_START = 127
"""The exit code that shells give to a command that is not there."""


class Supervisor:
    """One process from its start to its end."""

    def __init__(self, folder: str, events: int, secrets: int, settled: Homes | None = None) -> None:
        self._journal = record.Journal(os.path.join(folder, record.STATE))
        self._spec_path = os.path.join(folder, record.SPEC)
        self._events = events
        fields = record.read_fields(self._spec_path) or []
        spec = dict(fields)
        self._command = child.Command(fields)
        self._guard = Guard.of(spec, os.getpid(), settled)
        self._command.env |= {} if self._guard is None else self._guard.environment
        self._restart = spec["restart"] == "1"
        self._timeout_s = float(spec["timeout_s"]) if "timeout_s" in spec else _NEVER
        self._stop_timeout_s = float(spec["stop_timeout_s"])
        log = open_log(os.path.join(folder, record.LOG), int(spec["log_max_bytes"]), int(spec["log_files"]))
        self._log = log if secrets < 0 else self._keep_secrets(log, secrets)
        self._state = {"supervisor": str(os.getpid()), "boot": boot_id(), "restarts": "0"}
        self._main: int | None = None
        self._others = False
        """Whether any process below this one is left, the main one included."""
        self._ended_with = 0
        self._cpu_s = 0.0
        self._stop_requested = False
        self._timed_out = False
        self._look_at_record_at = time.monotonic() + _RECORD_CHECK_S
        self._output, self._output_for_child = os.pipe()
        self._signals, signalled = os.pipe()
        for descriptor in (self._output, self._signals, signalled):
            os.set_blocking(descriptor, False)
        for number in (_signal.SIGTERM, _signal.SIGCHLD):
            _signal.signal(number, lambda *_: None)
        _signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._poll.register(self._signals, select.POLLIN)

    def run(self) -> None:
        """Until the process has ended for good, and its end is on disk."""
        self._record("starting")
        give_up_at = time.monotonic() + self._timeout_s
        delay_s = _BACK_OFF_FIRST_S
        while self._start():
            began = time.monotonic()
            self._record("running")
            self._look_after(give_up_at)
            self._sweep()
            self._note_end()
            if not self._restart or self._stop_requested or self._timed_out:
                break
            if time.monotonic() - began >= _STEADY_AFTER_S:
                delay_s = _BACK_OFF_FIRST_S
            self._record("backing_off")
            if not self._rest(delay_s):
                break
            delay_s = min(2 * delay_s, _BACK_OFF_LONGEST_S)
            self._state["restarts"] = str(int(self._state["restarts"]) + 1)
        self._state["stopped"] = "1" if self._stop_requested else "0"
        self._state["timed_out"] = "1" if self._timed_out else "0"
        self._record("exited", durable=True)
        if self._guard is not None:
            self._guard.close()

    def _keep_secrets(self, log: Log, secrets: int) -> Log:
        """Let the process have them, and nobody else."""
        from trimtab.adapters.processes.masking import MaskedLog

        with open(secrets, "rb") as file:
            fields = record.decode(file.read())
        self._command.env |= dict(fields)
        return MaskedLog(log, (value for _, value in fields))

    def _start(self) -> bool:
        if self._guard is not None:
            self._guard.begin()
            pid, said = child.start(self._command, self._output_for_child, self._guard.enter)
        else:
            pid, said = child.start(self._command, self._output_for_child)
        if said.startswith(child.UNCONFINED):
            self._state["confined"] = "0"
            said = said[len(child.UNCONFINED) :]
        self._main, self._others = pid, True
        self._state["started_at"] = str(time.time())
        for ended in ("ended_at", "exit_code", "signal", "last_line"):
            self._state.pop(ended, None)
        if not said:
            self._state["pid"] = str(pid)
            return True
        self._sweep()
        self._ended_with = _COULD_NOT_START
        self._note_end()
        self._state["not_started"] = said.decode()
        return False

    def _look_after(self, give_up_at: float) -> None:
        """Until the process has ended by itself, or everything below it has after it was asked to, or time is up."""
        kill_at: float | None = None
        while self._main is not None or (kill_at is not None and self._others):
            self._turn(give_up_at if kill_at is None else kill_at)
            now = time.monotonic()
            if self._guard is not None and self._guard.exceeded():
                return
            if kill_at is not None:
                if now >= kill_at:
                    return
            elif self._main is not None and (self._stop_requested or now >= give_up_at or self._log.is_lost()):
                self._timed_out = now >= give_up_at and not self._stop_requested
                self._send(_signal.SIGTERM)
                kill_at = now + self._stop_timeout_s

    def _rest(self, delay_s: float) -> bool:
        """Wait before the next start; False when asked to stop meanwhile."""
        start_at = time.monotonic() + delay_s
        while not self._stop_requested and time.monotonic() < start_at:
            self._turn(start_at)
        return not self._stop_requested

    def _sweep(self) -> None:
        """Kill whatever is left below this process, and take in its last output."""
        give_up_at = time.monotonic() + _SWEEP_S
        self._reap()
        while self._others and time.monotonic() < give_up_at:
            self._send(_signal.SIGKILL)
            self._turn(time.monotonic() + 0.02)
        for _ in range(64):  # more than a pipe holds; bounded, should a writer have survived
            if not self._copy_output():
                break
            self._wait_for_space()
        self._log.flush()
        self._wait_for_space()

    def _wait_for_space(self) -> None:
        """Until all that was read is in the log, or was given up."""
        while self._log.is_waiting() and not (self._stop_requested or self._timed_out):
            self._turn(time.monotonic() + _FULL_DISK_CHECK_S)

    def _turn(self, until: float) -> None:
        """Wait for output, for a signal or until a time; take note of what there is."""
        wait_s = max(0.0, min(until - time.monotonic(), _RECORD_CHECK_S if self._guard is None else LOOK_S))
        if self._log.is_waiting():  # the disk is full: the process has to wait, too
            self._log.write(b"")
            wait_s = min(wait_s, _FULL_DISK_CHECK_S)
        self._poll.modify(self._output, 0 if self._log.is_waiting() else select.POLLIN)
        # Rounded up, or the last millisecond would be spent turning.
        ready = [descriptor for descriptor, _ in self._poll.poll(int(wait_s * 1000) + 1)]
        if self._output in ready:
            self._copy_output()
        if self._signals in ready and _signal.SIGTERM in os.read(self._signals, 512):
            self._stop_requested = True
        if time.monotonic() >= self._look_at_record_at:
            self._look_at_record_at = time.monotonic() + _RECORD_CHECK_S
            self._stop_requested = self._stop_requested or not os.path.exists(self._spec_path)
        self._reap()

    def _copy_output(self) -> bool:
        if self._log.is_waiting():
            return False
        try:
            data = os.read(self._output, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        self._log.write(data if self._guard is None else self._guard.let_out(data))
        return True

    def _reap(self) -> None:
        """Take the end of every process that has ended: the main one's, and those of orphans that came to us."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._others = False
                return
            if pid == 0:
                return
            self._cpu_s += used.ru_utime + used.ru_stime
            if pid == self._main:
                self._main = None
                self._ended_with = os.waitstatus_to_exitcode(status)

    def _send(self, number: int) -> None:
        """Signal the main process's group and all orphans. None of these ids can be stale: we have not reaped them."""
        if number == _signal.SIGTERM and (sandboxed := tree.inside_sandboxes(os.getpid())):
            for pid in sandboxed:
                _signal_if_there(os.kill, pid, number)
            return
        if self._main is not None:
            _signal_if_there(os.killpg, self._main, number)
        for pid in kernel.children_of(os.getpid()):
            if pid != self._main:
                _signal_if_there(os.kill, pid, number)

    def _note_end(self) -> None:
        if self._guard is not None:
            self._guard.ended(self._ended_with)
            self._state["over_limit"] = self._guard.over
        self._state["ended_at"] = str(time.time())
        self._state["cpu_s"] = str(self._cpu_s)
        if self._log.is_lost() or self._log.is_waiting():
            self._state["output_lost"] = "1"
        self._state["last_line"] = self._log.last_line()
        self._state["exit_code" if self._ended_with >= 0 else "signal"] = str(abs(self._ended_with))

    def _record(self, phase: str, *, durable: bool = False) -> None:
        self._state["phase"] = phase
        try:
            self._journal.write(self._state.items(), durable=durable)
            if phase != "starting":  # of which nobody needs to hear
                os.write(self._events, b".")
        except OSError:
            # The disk is full, the record was removed, or nobody has read events for long: the process goes on.
            return


def boot_id() -> str:
    """Differs each time the machine was started: process ids of another boot mean nothing."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def _signal_if_there(send: Callable[[int, int], None], target: int, number: int) -> None:
    try:
        send(target, number)
    except (ProcessLookupError, PermissionError):
        return


def main(folder: str, lock: int, events: int, secrets: int = -1, *, settled: Homes | None = None) -> None:
    """Look after the process that the folder's spec describes.

    `lock`, `events` and, where there are some, `secrets` are inherited, open descriptors. `settled`: the control groups
    that this process is in to hold the limits of that one.
    """
    descriptors = [each for each in (lock, events, secrets) if each >= 0]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    kernel.close_all_but(*descriptors)
    kernel.set_name(b"trimtab-super")
    kernel.adopt_orphans()
    Supervisor(folder, events, secrets, settled).run()
    os._exit(0)  # nothing to tidy up: closing the lock and the events is the last thing to tell
