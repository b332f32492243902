"""`trimtab down`: the controller, then everything that it left running."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from trimtab.app.folder import API, holder, is_held, joined, only_one
from trimtab.app.ports import open_processes
from trimtab.procfs import is_paused

SPEAK_AFTER_S = 1.0
WORRY_AFTER_S = 5.0
KILL_AFTER_S = 15.0
"""A controller is built to be killed at any instruction: what it was about to do is in the store."""
_POLL_S = 0.05


def down(home: Path, say: Callable[[str], None] = lambda _: None) -> int:
    """Stop the controller if it runs, then every instance, step and the gateway; how many processes were stopped.

    `say` is told, in sentences, what is waited for."""
    home = home.absolute()
    for other in joined(home):
        _stop(other, partial(_has_joined, home, other), say)
    first = holder(home) if is_held(home) else None
    if first is not None:  # else there is nobody to signal: whoever takes the folder next says that it is held
        _stop(first, partial(is_held, home), say)
    with only_one(home):
        stopped = asyncio.run(_stop_processes(home))
        # One that was killed has left it behind: now nobody has to wonder what became of it.
        (home / API).unlink(missing_ok=True)
        return stopped


def _has_joined(home: Path, pid: int) -> bool:
    return pid in joined(home)


def _stop(pid: int, holds: Callable[[], bool], say: Callable[[str], None]) -> None:
    """SIGTERM to a controller, SIGKILL after KILL_AFTER_S; returns when it has let go of the folder (`holds`)."""
    try:
        controller = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        _end(pid, controller, holds, say)
    finally:
        os.close(controller)


def _end(pid: int, controller: int, holds: Callable[[], bool], say: Callable[[str], None]) -> None:
    _signal(controller, signal.SIGTERM, holds)
    if is_paused(pid):
        say(f"the controller (process {pid}) is paused; it is woken so that it can stop")
        _signal(controller, signal.SIGCONT, holds)
    began = time.monotonic()
    steps = [
        (SPEAK_AFTER_S, f"waiting for the controller (process {pid}) to stop"),
        (WORRY_AFTER_S, f"it does not answer; it is killed in {KILL_AFTER_S - WORRY_AFTER_S:g} s, which loses nothing"),
        (KILL_AFTER_S, f"the controller (process {pid}) did not stop within {KILL_AFTER_S:g} s; it is killed now"),
    ]
    while holds():
        if steps and time.monotonic() - began >= steps[0][0]:
            say(steps.pop(0)[1])
            if not steps:
                _signal(controller, signal.SIGKILL, holds)
        time.sleep(_POLL_S)


def _signal(controller: int, number: signal.Signals, holds: Callable[[], bool]) -> None:
    """Signal the controller. It holds the folder after its handle was taken: so the handle is not that of another
    process which got its number."""
    if holds():
        try:
            signal.pidfd_send_signal(controller, number)
        except ProcessLookupError:
            return


async def _stop_processes(home: Path) -> int:
    """Stop what a controller left running: the gateway last, so that requests are answered until the end."""
    processes = open_processes(home)
    alive = [p.name for p in await processes.list("") if p.phase not in ("exited", "lost")]
    gateway = [name for name in alive if name.startswith("gateway")]
    others = [name for name in alive if name not in gateway]
    await asyncio.gather(*(processes.stop(name) for name in others))
    await asyncio.gather(*(processes.stop(name) for name in gateway))
    await processes.close()
    return len(alive)
