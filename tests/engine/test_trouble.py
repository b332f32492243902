"""A store that cannot be used stops decisions, is said once, and does not stop the loop."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.engine.world import World
from trimtab.core.errors import failure
from trimtab.engine.replicas import LEASE_S, Lead
from trimtab.ports.store import Store


class FullStore:
    """Can be read; of the writes that keep a lease, which come now and then, none succeeds while it is full."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_full = False
        self._claims = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def claim(self, *arguments: Any) -> Any:
        self._claims += 1
        if self.is_full and self._claims % 4 == 0:
            raise failure("store-full", "there is no space left for the store")
        return self._store.claim(*arguments)


async def test_a_full_store_is_said_once_until_it_can_be_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    store = FullStore(world.store)
    reached: Any = store
    engine = world.engine(store, "ann", Lead("gateway/local", reached, world.traffic, world.clock, "ann"))
    running = asyncio.create_task(engine.run())
    await world.clock.run_for(10.0)
    assert engine.trouble == ""
    store.is_full = True
    await world.clock.run_for(5.0)
    for _ in range(40):
        assert "no space left" in engine.trouble
        await world.clock.run_for(0.5)
    assert caplog.text.count("nothing can be decided") == 1
    store.is_full = False
    await world.clock.run_for(LEASE_S + 2.0)
    assert engine.trouble == ""
    assert not running.done()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
