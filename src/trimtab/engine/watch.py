"""Notices commits that others made in the state repository, and wakes the environments that they are about."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from trimtab.core.errors import TrimtabError
from trimtab.core.model.identity import ObjectId
from trimtab.ports.clock import Clock
from trimtab.ports.source import StateRepository

EVERY_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StateWatch:
    """Watches until cancelled. What it misses is found when the environment is looked at next."""

    state_repository: StateRepository
    clock: Clock
    wake: Callable[[ObjectId], None]

    async def run(self) -> None:
        seen: str | None = None
        begun = False
        while True:
            try:
                head = await self.state_repository.head()
                if begun and head != seen:
                    for environment in await self.state_repository.touched(seen):
                        self.wake(environment.object_id)
                seen, begun = head, True
            except TrimtabError as error:
                log.warning("the state repository cannot be watched: %s", error)
            await self.clock.sleep(EVERY_S)
