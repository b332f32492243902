"""The controller's side of a nursery: a small process that forks its supervisors, which is quicker than starting them.

A supervisor does not depend on the nursery that it came from, and a nursery ends with its controller: see `forker`.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from trimtab.adapters.processes.interpreter import spawn
from trimtab.adapters.processes.title import PADDING

_PROGRAM = "trimtab.adapters.processes.forker"
_PATIENCE_S = 3.0
"""How long an answer may take: starting the nursery, too, on a busy machine. Then it is another nursery's turn."""
_TRIES = 2
_ANSWER_BYTES = 64


class NurseryUnusable(Exception):
    """No supervisor came of it, and none will."""


class Nursery:
    """Started when it is first needed, and again when it is gone. `close` it; the supervisors go on."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.pid: int | None = None

    def fork(self, folder: Path, descriptors: Sequence[int]) -> None:
        """Have a supervisor for the record in `folder`, with the descriptors. It is not this process's child.

        Raises NurseryUnusable, or OSError when the machine allows no further process.
        """
        message = os.fsencode(os.path.abspath(folder))
        for _ in range(_TRIES):
            answer = self._ask(message, descriptors)
            if answer.startswith(b"!"):
                number = int(answer[1:])
                raise OSError(number, os.strerror(number))
            if answer:
                return
        raise NurseryUnusable

    def close(self) -> None:
        """End it: nothing depends on it. Also one that is paused."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self.pid is not None:
            self._kill()
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self.pid = None

    def _ask(self, message: bytes, descriptors: Sequence[int]) -> bytes:
        """The answer; empty when the nursery is of no use, and gone."""
        if self._socket is None and not self._start():
            return b""
        assert self._socket is not None
        try:
            socket.send_fds(self._socket, [message], descriptors)
            answer = self._socket.recv(_ANSWER_BYTES)
        except OSError:
            answer = b""
        return answer or self._end()

    def _start(self) -> bool:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self.pid = spawn(_PROGRAM, (theirs.fileno(),), (theirs.fileno(),), os.devnull, PADDING)
            except OSError:
                ours.close()
                return False
        ours.settimeout(_PATIENCE_S)
        self._socket = ours
        return True

    def _end(self) -> bytes:
        """Kill the nursery: it is dead, paused or mute. The answer that was on its way then, if there is one.

        A supervisor answers for itself, so at the end of file it is known that none will come of the message.
        """
        assert self._socket is not None
        self._kill()
        try:
            return self._socket.recv(_ANSWER_BYTES)
        except ConnectionError:
            return b""
        finally:
            self.close()

    def _kill(self) -> None:
        # Its number cannot be another's: we have not waited for it yet.
        with suppress(ProcessLookupError):
            if self.pid is not None:
                os.kill(self.pid, signal.SIGKILL)
