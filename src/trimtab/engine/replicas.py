"""Several controllers on one store: who leads the data plane, and how they spread the rest.

Nothing here is needed for safety, which is in leases and fences; it is what keeps controllers out of each other's way.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from trimtab.core.errors import StaleFence
from trimtab.core.model.identity import ObjectId, app_of
from trimtab.ports.clock import Clock
from trimtab.ports.store import Controller, Store
from trimtab.ports.traffic import Traffic

LEASE_S = 6.0
"""How long an object stays with a controller that does not come back for it."""
CHECK_IN_S = 2.0
GONE_S = 5.0
"""A controller that was not seen for this long is not reckoned with."""
GROWS_AT_ONCE = 200
"""By how much a fence is raised before everybody else has a turn."""
FORGOTTEN_S = 24 * 3600.0
"""One that was not seen for this long does not come back under its name."""
PATIENCE_S = 3.0
"""How long what is another's turn waits for that one."""
FORGETS_S = 10.0
"""After how long it is forgotten that something waited."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lead:
    """The lead of one data plane: an object that the controller who moves it holds, and whose fence all its
    instructions carry."""

    object_id: ObjectId
    store: Store
    traffic: Traffic
    clock: Clock
    owner: str
    on_lead: Callable[[], None] = lambda: None
    """Called each time this controller has taken the lead."""
    fence: int | None = None
    """The fence under which the data plane was told that this controller leads; None: it does not."""

    def keep(self, now: float, begin: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        """Take or keep the lead; `begin` starts the work of telling the data plane."""
        claim = self.store.claim(self.object_id, self.owner, now, LEASE_S)
        if claim is None:
            if self.fence is not None:
                log.warning("another controller leads %s now", self.object_id)
            self.fence = None
        elif claim.fence != self.fence:
            self.fence = None
            begin(lambda: self._tell(claim.fence))

    async def _tell(self, fence: int) -> None:
        try:
            await self.traffic.lead(fence)
        except StaleFence as stale:
            self._grow_beyond(stale.held)
            return
        log.info("leading %s (fence %d)", self.object_id, fence)
        self.fence = fence
        self.on_lead()

    def _grow_beyond(self, held: int) -> None:
        """The data plane knows a higher fence than the store gave. Either somebody has taken over, whose lease says so
        soon, or the store is a new one (or was restored): then its fences have to outgrow those of the one before."""
        for _ in range(GROWS_AT_ONCE):
            self.store.release_leases(self.owner, self.object_id)
            claim = self.store.claim(self.object_id, self.owner, self.clock.now(), LEASE_S)
            if claim is None or claim.fence >= held:
                return


@dataclass(slots=True)
class Sharing:
    """Who should do what any controller may: each application has its place with one of those that are alive, so that
    they do not all try the same. Whoever is late loses its turn."""

    store: Store
    me: Controller
    is_gone: Callable[[Controller], bool] = lambda _: False
    """Whether a controller is known to be dead, before its leases say so."""
    _alive: tuple[str, ...] = ()
    _checked_at: float = float("-inf")
    _waiting: dict[ObjectId, float] = field(default_factory=dict)

    def check_in(self, now: float) -> None:
        """Say that this controller is alive, see who else is, and let go of what the dead hold."""
        if abs(now - self._checked_at) < CHECK_IN_S:
            return
        self._checked_at = now
        self.store.check_in(self.me, now)
        known = self.store.controllers()
        for other in known:
            if other.owner != self.me.owner and self.is_gone(other):
                log.warning("controller %s is gone; others go on with what it held", other.owner)
                self.store.release_leases(other.owner)
                self.store.check_out(other.owner)
            elif now - other.seen_at > FORGOTTEN_S:
                self.store.check_out(other.owner)
        self._waiting = {object_id: at for object_id, at in self._waiting.items() if 0 <= now - at < FORGETS_S}
        self._alive = tuple(c.owner for c in known if now - c.seen_at < GONE_S and not self.is_gone(c))

    def takes(self, object_id: ObjectId, now: float) -> bool:
        """Whether it is this controller's turn, or that of another who let it pass."""
        if self._has_turn(object_id):
            return True
        since = self._waiting.setdefault(object_id, now)
        if not 0 <= now - since < FORGETS_S:  # it was somebody's turn long ago, and that one took it
            since = self._waiting[object_id] = now
        return now - since >= PATIENCE_S

    def _has_turn(self, object_id: ObjectId) -> bool:
        return len(self._alive) < 2 or _first(app_of(object_id), self._alive) == self.me.owner


def _first(key: str, owners: Collection[str]) -> str:
    """Rendezvous hashing: when one leaves, only what was its moves."""
    return max(owners, key=lambda owner: hashlib.blake2b(f"{owner}|{key}".encode()).digest())
