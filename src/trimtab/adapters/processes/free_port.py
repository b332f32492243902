"""Ports for instances."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from pathlib import Path

from trimtab.core.errors import failure

LOOPBACK = "127.0.0.1"
_LOWEST = 20000
_HIGHEST = 32767
_TRIES = 200


def free_port(taken: Collection[int]) -> int:
    """A loopback port that nobody listens on and that is not in `taken`.

    Outside the range from which the kernel takes ports for outgoing connections: an instance keeps its port while it is
    restarted, and the gateway's thousands of connections must not be able to take it away in between.
    """
    highest = min(_HIGHEST, _first_outgoing_port() - 1)
    for _ in range(_TRIES):
        # With a range that leaves no room the kernel chooses (port 0), which is second best.
        port = random.randint(_LOWEST, highest) if highest > _LOWEST else 0
        with socket.socket() as attempt:
            try:
                attempt.bind((LOOPBACK, port))
            except OSError:
                continue
            chosen: int = attempt.getsockname()[1]
        if chosen not in taken:
            return chosen
    raise failure(
        "no-free-port", f"No free port was found in {_TRIES} tries.", "Stop what listens on so many loopback ports."
    )


def _first_outgoing_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _HIGHEST + 1
