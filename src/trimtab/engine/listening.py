"""Wakes the loop when another process recorded something, where the store can tell. Losing it costs half a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from trimtab.core.errors import TrimtabError
from trimtab.ports.clock import Clock
from trimtab.ports.store import Listener, Store

AGAIN_S = 5.0
"""How long nobody listens after the store could not be reached."""

log = logging.getLogger(__name__)


async def listen(store: Store, clock: Clock, wake: Callable[[], None]) -> None:
    """Call `wake` whenever another connection to the store recorded something, until cancelled. Returns at once when
    the store cannot tell."""
    while True:
        try:
            listener = await asyncio.to_thread(store.listener)
            if listener is None:
                return
            wake()  # for what came while nobody listened
            await _hear(listener, wake)
        except TrimtabError as error:
            log.info("not woken by others for a while: %s", error)
        await clock.sleep(AGAIN_S)


async def _hear(listener: Listener, wake: Callable[[], None]) -> None:
    """Raises `TrimtabError` when the connection is lost."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    fileno = listener.fileno()
    loop.add_reader(fileno, came.set)
    try:
        while True:
            await came.wait()
            came.clear()
            if listener.heard():
                wake()
    finally:
        loop.remove_reader(fileno)
        listener.close()
