"""`trimtab down`: the controller, then everything that it left running."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
from pathlib import Path

from trimtab.app.folder import only_one
from trimtab.app.ports import open_ports


def down(home: Path) -> int:
    """Stop the controller if it runs, then every instance, step and the gateway; how many processes were stopped."""
    home = home.absolute()
    _stop_controller(home)
    with only_one(home):
        return asyncio.run(_stop_processes(home))


def _stop_controller(home: Path) -> None:
    """SIGTERM to the controller that holds the folder; returns when it has let go of it."""
    try:
        pid = int(json.loads((home / "api.json").read_text())["pid"])
        lock = os.open(home / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (OSError, ValueError, KeyError):
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.kill(pid, signal.SIGTERM)
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


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
