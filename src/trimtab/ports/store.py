"""The durable core: facts, one state row for each object, the outbox, leases and fences.

`owner` names a controller. It *holds* an object from a claim until the lease of that claim has run out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ObjectId

PRUNED_AT_ONCE = 1000
"""How many facts `prune` takes at most: others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An object held by this controller, with what it needs to decide."""

    object: ObjectId
    fence: int
    """Grows each time the object changes hands; a commit with an older one is refused."""
    state: str | None
    """The state as JSON; None before the first decision."""
    facts: tuple[Recorded, ...]
    """Recorded for the object by others since its last decision, oldest first."""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An action that was decided and is not done yet."""

    id: str
    """``OBJECT#KEY``: an action with the same id is stored once."""
    object: ObjectId
    fence: int
    """The object's fence when the entry was read: who takes the object over gets its actions with the new one."""
    kind: str
    action: str
    """The action as JSON."""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object's state row."""

    object: ObjectId
    state: str | None
    fence: int
    owner: str | None
    wake_at: float | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Controller:
    """One running Trimtab that uses the store, as it described itself when it last checked in."""

    owner: str
    """Its name in leases."""
    url: str
    """Of its API."""
    version: str
    host: str
    home: str
    """The folder with everything else of the installation."""
    pid: int
    started_at: float
    seen_at: float = 0.0
    """When it last checked in (seconds since the epoch)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What somebody had folded from the facts up to and including `seq`."""

    seq: int
    body: str


class Listener(Protocol):
    """Hears that other connections recorded facts or let go of objects. May miss some: a hint to look, nothing more."""

    def fileno(self) -> int:
        """Can be read from when there is something to hear (for `loop.add_reader`)."""
        ...

    def heard(self) -> bool:
        """Whether anything came since the last call; does not wait.
        Raises `TrimtabError` (`store-unreachable`) when the connection is lost: then a new listener has to be made."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """Every method is one transaction: all or nothing, durable when it returns (but see `together`). Methods are
    synchronous and short."""

    def together(self, objects: Collection[ObjectId]) -> AbstractContextManager[None]:
        """What is called in the block is stored when it ends, all of it with one wait for the disk; `objects` are those
        it is about. A call that raises `StaleFence` is left out and the others stand. Nothing is durable before the
        block has ended, and nothing at all was stored when that raises."""
        ...

    def append(self, facts: Sequence[Recorded], now: float) -> tuple[Recorded, ...]:
        """Record facts, as of `now`, and make their objects due, ended ones too.

        A fact whose key is already recorded is not recorded again, wakes nobody and is left out of the answer."""
        ...

    def due(self, now: float, owner: str, limit: int = 100) -> tuple[ObjectId, ...]:
        """Objects to be decided now that nobody else holds, longest waiting first.

        An object that nobody holds is due as well when it has an action to carry out: whoever decided it is gone."""
        ...

    def peek(self, object_id: ObjectId) -> str | None:
        """The state of an object whose last decision has seen everything and left nothing to do; None otherwise.

        What it says can be looked at without a claim, which spares the store two writes; what is decided of it
        cannot be stored without one."""
        ...

    def look_again(self, looks: Mapping[ObjectId, float], now: float) -> None:
        """These objects were looked at and need no decision: they are due at those times, and not before.

        One that is not due now, or that `peek` would not show any more, was decided by somebody meanwhile or has to be:
        it stays as it is."""
        ...

    def rewind(self, now: float) -> None:
        """The clock was set back to `now`: whatever would be due later is due now. (A time that only the clock
        of before would have reached soon is not waited for.) Leases stay: others' clocks may be right."""
        ...

    def claim(self, object_id: ObjectId, owner: str, now: float, ttl_s: float) -> Claim | None:
        """Take or keep the object's lease; None when someone else holds it. The fence grows when the owner changes.

        An object that nothing was recorded for yet comes into being. Writes nothing, and so leaves the lease as it is,
        when the owner already holds the object for more than half of `ttl_s`."""
        ...

    def commit(
        self,
        claim: Claim,
        *,
        state: str,
        facts: Sequence[Recorded],
        todo: Sequence[OutboxEntry],
        wake_at: float | None,
        ended: bool,
        now: float,
    ) -> tuple[Recorded, ...]:
        """Store a decision: the state, its facts (also for other objects, which become due) and its actions.

        Marks the claim's facts as seen, and those it records for its own object; the object becomes due at once if
        another fact came for it meanwhile, otherwise at `wake_at`, or never if it has ended. An action whose id was
        stored before is left as it is, done or not.
        Raises `StaleFence` when the claim's fence is no longer the object's; then nothing was stored.
        """
        ...

    def outbox(self, now: float, owner: str, limit: int = 100) -> tuple[OutboxEntry, ...]:
        """Actions of objects that `owner` holds, due now, oldest first."""
        ...

    def pending(self, object_id: ObjectId) -> tuple[OutboxEntry, ...]:
        """The object's actions that are not done."""
        ...

    def done(self, entry: OutboxEntry, facts: Sequence[Recorded], now: float) -> None:
        """Take an action out of the outbox and record its outcome. Does nothing if it is already out.
        Raises `StaleFence` when the object has changed hands since: the new holder carries the action out again
        (or already has)."""
        ...

    def postpone(self, entry: OutboxEntry, until: float) -> None:
        """Try the action again later (attempts + 1). Does nothing if it is out or the object has changed hands."""
        ...

    def facts(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        object_prefix: str = "",
        object_id: ObjectId = "",
        kinds: Collection[str] = (),
        newest_first: bool = False,
    ) -> tuple[Recorded, ...]:
        """Facts by sequence number, of everything, of objects by the beginning of their id, or of one object.
        Newest first: `after` is ignored.

        Numbers become visible in their order: whoever reads on after the last one he has seen misses none. One that a
        newer version wrote may be a `FactOfNewerVersion`; a claim with such a fact is refused (`kind-unknown`,
        `text-unreadable`)."""
        ...

    def objects(self, prefix: str) -> tuple[ObjectRow, ...]:
        """State rows whose id starts with `prefix`, sorted by id."""
        ...

    def get(self, object_id: ObjectId) -> ObjectRow | None: ...

    def release_leases(self, owner: str, object_id: ObjectId | None = None) -> None:
        """Let go of an object that the owner holds, or of everything (clean shutdown): others can take it at once."""
        ...

    # --- who else is here ---

    def check_in(self, controller: Controller, now: float) -> None:
        """The controller is alive as of `now` (its own `seen_at` does not matter)."""
        ...

    def check_out(self, owner: str) -> None:
        """It has stopped. Does nothing if it never checked in."""
        ...

    def controllers(self) -> tuple[Controller, ...]:
        """All that checked in and not out, sorted by owner: also those that died and did not say so (see `seen_at`)."""
        ...

    def listener(self) -> Listener | None:
        """Hears what is done by others to this store, on a connection of its own; None when it cannot be heard."""
        ...

    # --- what was folded, and what may go ---

    def keep_snapshot(self, name: str, seq: int, body: str) -> None:
        """Keep what was folded up to `seq` in place of an older one of that name; a newer one stays."""
        ...

    def snapshot(self, name: str) -> Snapshot | None: ...

    def prune(
        self,
        seqs: Collection[int],
        *,
        instead: Sequence[Recorded] = (),
        actions_of: Collection[ObjectId] = (),
        now: float,
    ) -> int:
        """Remove facts for ever; how many are gone. At most `PRUNED_AT_ONCE`.

        Stays: a fact that its object's decision has not seen, one with a key (it could come again), and the newest of
        all (its number would). `instead` is recorded first, for readers of the log only: it is of objects that exist,
        and nobody has to decide anything about it. Of `actions_of`, those that have ended forget which of their actions
        were carried out."""
        ...

    def close(self) -> None: ...
