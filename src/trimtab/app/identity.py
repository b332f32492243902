"""Who this controller is, and whether another one is known to be gone."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from trimtab import __version__
from trimtab.core.errors import failure
from trimtab.engine.replicas import GONE_S
from trimtab.ports.store import Controller

STARTED_SLACK_S = 5.0
"""Clocks may be set a little; a process that began so much later is another one with the same number."""


def this_controller(home: Path, url: str, now: float) -> Controller:
    """This process as a controller. Its name is new each time: it does not hold what it held before a restart."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    return Controller(name, url, __version__, _machine(), str(home.resolve()), os.getpid(), started_at=now)


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


def ensure_ours(me: Controller, others: Iterable[Controller], now: float) -> None:
    """Raises `TrimtabError` (`database-in-use`) when a living controller of another installation uses the store: the
    gateways and instances of two folders cannot be told apart in it."""
    for other in others:
        elsewhere = (other.home, other.host.partition("/")[0]) != (me.home, me.host.partition("/")[0])
        if elsewhere and now - other.seen_at < GONE_S and not is_gone(me, other):
            raise failure(
                "database-in-use",
                f"the database belongs to the installation in {other.home} on {other.host.partition('/')[0]}",
                "give this one a database of its own; to add a controller to that one, use its folder and --join",
                me.home,
            )


def _machine() -> str:
    """The machine and its space of process numbers: a container has one of its own."""
    try:
        return f"{socket.gethostname()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{socket.gethostname()}/{secrets.token_hex(4)}"
