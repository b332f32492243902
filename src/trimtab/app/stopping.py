"""`trimtab down`: the controller, then everything that it left running."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from trimtab.app.folder import holder, is_held, only_one
from trimtab.app.ports import open_ports
from trimtab.app.process import is_paused

SPEAK_AFTER_S = 1.0
WORRY_AFTER_S = 5.0
KILL_AFTER_S = 15.0
"""A controller is built to be killed at any instruction: what it was about to do is in the store."""
_POLL_S = 0.05


def down(home: Path, say: Callable[[str], None] = lambda _: None) -> int:
    """Stop the controller if it runs, then every instance, step and the gateway; how many processes were stopped.

    `say` is told, in sentences, what is waited for."""
    home = home.absolute()
    _stop_controller(home, say)
    with only_one(home):
        stopped = asyncio.run(_stop_processes(home))
        # One that was killed has left it behind: now nobody has to wonder what became of it.
        (home / "api.json").unlink(missing_ok=True)
        return stopped


def _stop_controller(home: Path, say: Callable[[str], None]) -> None:
    """SIGTERM to the controller that holds the folder, SIGKILL after KILL_AFTER_S; returns when it has let go of it."""
    if not is_held(home):
        return
    pid = holder(home)
    if pid is None:
        return  # nobody to signal: whoever takes the folder next says that it is held
    try:
        controller = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        _end(home, pid, controller, say)
    finally:
        os.close(controller)


def _end(home: Path, pid: int, controller: int, say: Callable[[str], None]) -> None:
    _signal(home, controller, signal.SIGTERM)
    if is_paused(pid):
        say(f"the controller (process {pid}) is paused; it is woken so that it can stop")
        _signal(home, controller, signal.SIGCONT)
    began = time.monotonic()
    steps = [
        (SPEAK_AFTER_S, f"waiting for the controller (process {pid}) to stop"),
        (WORRY_AFTER_S, f"it does not answer; it is killed in {KILL_AFTER_S - WORRY_AFTER_S:g} s, which loses nothing"),
        (KILL_AFTER_S, f"the controller (process {pid}) did not stop within {KILL_AFTER_S:g} s; it is killed now"),
    ]
    while is_held(home):
        if steps and time.monotonic() - began >= steps[0][0]:
            say(steps.pop(0)[1])
            if not steps:
                _signal(home, controller, signal.SIGKILL)
        time.sleep(_POLL_S)


def _signal(home: Path, controller: int, number: signal.Signals) -> None:
    """Signal the controller. Held after its handle was taken: so the handle is not another process's of that number."""
    if is_held(home):
        try:
            signal.pidfd_send_signal(controller, number)
        except ProcessLookupError:
            return


async def _stop_processes(home: Path) -> int:
    """Stop what a controller left running: the gateway last, so that requests are answered until the end."""
    ports = open_ports(home)
    alive = [p.name for p in await ports.processes.list("") if p.phase not in ("exited", "lost")]
    gateway = [name for name in alive if name.startswith("gateway")]
    others = [name for name in alive if name not in gateway]
    await asyncio.gather(*(ports.processes.stop(name) for name in others))
    await asyncio.gather(*(ports.processes.stop(name) for name in gateway))
    await ports.close()
    return len(alive)
