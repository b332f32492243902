"""Who this controller is, and whether another one is known to be gone."""

from __future__ import annotations

import os
import secrets
import socket

import psutil

from trimtab import __version__
from trimtab.ports.store import Controller

STARTED_SLACK_S = 5.0
"""Clocks may be set a little; a process that began so much later is another one with the same number."""


def this_controller(url: str, now: float) -> Controller:
    """This process as a controller. Its name is new each time: it does not hold what it held before a restart."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    return Controller(owner=name, url=url, version=__version__, host=_machine(), pid=os.getpid(), started_at=now)


def is_gone(me: Controller, other: Controller) -> bool:
    """Whether the other was a process of this machine that is no more. False when nobody can tell: its leases will."""
    if other.host != me.host:
        return False
    try:
        began = psutil.Process(other.pid).create_time()
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return began > other.started_at + STARTED_SLACK_S


def _machine() -> str:
    """The machine and its space of process numbers: a container has one of its own."""
    try:
        return f"{socket.gethostname()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{socket.gethostname()}/{secrets.token_hex(4)}"
