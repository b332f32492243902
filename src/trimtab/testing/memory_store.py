"""The Store in memory: the port's promises in their plainest form. Lives as long as the object does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice

from trimtab.core.errors import stale_fence
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ObjectId
from trimtab.ports.store import Claim, Controller, Listener, ObjectRow, OutboxEntry, Snapshot


@dataclass(slots=True)
class _Object:
    state: str | None = None
    fence: int = 0
    owner: str | None = None
    lease_until: float = 0.0
    wake_at: float | None = None
    ended: bool = False
    inbox: list[Recorded] = field(default_factory=list)

    def held_by_other(self, owner: str, now: float) -> bool:
        return self.owner not in (None, owner) and self.lease_until > now


@dataclass(slots=True)
class _Stored:
    entry: OutboxEntry
    due_at: float
    done: bool = False


class MemoryStore:
    """A `Store` for tests and the simulator. Several controllers may share one, each by its owner's name."""

    def __init__(self) -> None:
        self._log: list[Recorded] = []
        self._keys: set[str] = set()
        self._objects: dict[ObjectId, _Object] = {}
        self._outbox: dict[str, _Stored] = {}
        self._controllers: dict[str, Controller] = {}
        self._snapshots: dict[str, Snapshot] = {}

    def together(self, objects: Collection[ObjectId]) -> AbstractContextManager[None]:
        del objects
        return nullcontext()  # there is no disk to wait for

    # --- facts ---

    def append(self, facts: Sequence[Recorded], now: float) -> tuple[Recorded, ...]:
        return self._record(facts, now)

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
        first = bisect_right(self._log, after, key=lambda fact: fact.seq)
        wanted = (
            fact
            for fact in (reversed(self._log) if newest_first else self._log[first:])
            if fact.object.startswith(object_prefix)
            and object_id in ("", fact.object)
            and (not kinds or fact.kind in kinds)
        )
        return tuple(islice(wanted, limit))

    def _record(self, facts: Iterable[Recorded], now: float, own: ObjectId | None = None) -> tuple[Recorded, ...]:
        recorded = []
        for given in facts:
            fact = self._log_once(given, now)
            if fact is None:
                continue
            recorded.append(fact)
            if fact.object != own:
                row = self._objects.setdefault(fact.object, _Object())
                row.inbox.append(fact)
                row.wake_at = now if row.wake_at is None else min(now, row.wake_at)
        return tuple(recorded)

    def _log_once(self, given: Recorded, now: float) -> Recorded | None:
        if given.key in self._keys:
            return None
        if given.key is not None:
            self._keys.add(given.key)
        fact = replace(given, seq=self._log[-1].seq + 1 if self._log else 1, at=now)
        self._log.append(fact)
        return fact

    # --- objects ---

    def due(self, now: float, owner: str, limit: int = 100) -> tuple[ObjectId, ...]:
        since: dict[ObjectId, float] = {}
        for object_id, at, free_at in self._waiting(owner):
            if max(at, free_at) <= now:
                since[object_id] = min(at, since.get(object_id, at))
        return tuple(sorted(since, key=lambda object_id: (since[object_id], object_id))[:limit])

    def peek(self, object_id: ObjectId) -> str | None:
        row = self._objects.get(object_id)
        return None if row is None or row.inbox or self.pending(object_id) else row.state

    def look_again(self, looks: Mapping[ObjectId, float], now: float) -> None:
        for object_id, at in looks.items():
            if self.peek(object_id) is not None:
                row = self._objects[object_id]
                if row.wake_at is not None and row.wake_at <= now:
                    row.wake_at = at

    def _waiting(self, owner: str) -> Iterator[tuple[ObjectId, float, float]]:
        """Whatever is to be done: since when, and from when on `owner` may take it."""
        for object_id, row in self._objects.items():
            if row.wake_at is not None:
                yield object_id, row.wake_at, 0.0 if row.owner in (None, owner) else row.lease_until
        for stored in self._outbox.values():
            if not stored.done:
                row = self._objects[stored.entry.object]
                yield stored.entry.object, stored.due_at, 0.0 if row.owner is None else row.lease_until

    def rewind(self, now: float) -> None:
        for row in self._objects.values():
            if row.wake_at is not None:
                row.wake_at = min(row.wake_at, now)
        for stored in self._outbox.values():
            stored.due_at = min(stored.due_at, now)

    def objects(self, prefix: str) -> tuple[ObjectRow, ...]:
        ids = sorted(object_id for object_id in self._objects if object_id.startswith(prefix))
        return tuple(self._row(object_id, self._objects[object_id]) for object_id in ids)

    def get(self, object_id: ObjectId) -> ObjectRow | None:
        row = self._objects.get(object_id)
        return None if row is None else self._row(object_id, row)

    def _row(self, object_id: ObjectId, row: _Object) -> ObjectRow:
        return ObjectRow(object_id, row.state, row.fence, row.owner, row.wake_at, row.ended)

    # --- decisions ---

    def claim(self, object_id: ObjectId, owner: str, now: float, ttl_s: float) -> Claim | None:
        row = self._objects.setdefault(object_id, _Object())
        if row.held_by_other(owner, now):
            return None
        if row.owner != owner:
            row.owner, row.fence, row.lease_until = owner, row.fence + 1, now + ttl_s
        elif row.lease_until - now <= ttl_s / 2:
            row.lease_until = now + ttl_s
        return Claim(object_id, row.fence, row.state, tuple(row.inbox))

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
        row = self._fenced(claim.object, claim.fence)
        row.inbox = [fact for fact in row.inbox if fact not in claim.facts]
        row.state, row.ended = state, ended
        row.wake_at = now if row.inbox else None if ended else wake_at
        for entry in todo:
            self._outbox.setdefault(entry.id, _Stored(replace(entry, attempts=0), now))
        return self._record(facts, now, own=claim.object)

    def release_leases(self, owner: str, object_id: ObjectId | None = None) -> None:
        for name, row in self._objects.items():
            if row.owner == owner and object_id in (None, name):
                row.owner, row.lease_until = None, 0.0

    def _fenced(self, object_id: ObjectId, fence: int) -> _Object:
        row = self._objects.get(object_id)
        held = 0 if row is None else row.fence
        if row is None or held != fence:
            raise stale_fence(object_id, held, fence)
        return row

    # --- actions ---

    def outbox(self, now: float, owner: str, limit: int = 100) -> tuple[OutboxEntry, ...]:
        offered = [
            self._offer(stored)
            for stored in self._outbox.values()
            if not stored.done and stored.due_at <= now and self._holds(owner, stored.entry.object, now)
        ]
        return tuple(offered[:limit])

    def _holds(self, owner: str, object_id: ObjectId, now: float) -> bool:
        row = self._objects[object_id]
        return row.owner == owner and row.lease_until > now

    def pending(self, object_id: ObjectId) -> tuple[OutboxEntry, ...]:
        stored = self._outbox.values()
        return tuple(self._offer(item) for item in stored if item.entry.object == object_id and not item.done)

    def _offer(self, stored: _Stored) -> OutboxEntry:
        return replace(stored.entry, fence=self._objects[stored.entry.object].fence)

    def done(self, entry: OutboxEntry, facts: Sequence[Recorded], now: float) -> None:
        self._fenced(entry.object, entry.fence)
        stored = self._outbox.get(entry.id)
        if stored is not None and not stored.done:
            stored.done = True
            self._record(facts, now)

    def postpone(self, entry: OutboxEntry, until: float) -> None:
        stored = self._outbox.get(entry.id)
        if stored is not None and not stored.done and entry.fence == self._objects[entry.object].fence:
            stored.entry = replace(stored.entry, attempts=stored.entry.attempts + 1)
            stored.due_at = until

    # --- who else is here ---

    def check_in(self, controller: Controller, now: float) -> None:
        self._controllers[controller.owner] = replace(controller, seen_at=now)

    def check_out(self, owner: str) -> None:
        self._controllers.pop(owner, None)

    def controllers(self) -> tuple[Controller, ...]:
        return tuple(self._controllers[owner] for owner in sorted(self._controllers))

    def listener(self) -> Listener | None:
        return None

    # --- what was folded, and what may go ---

    def keep_snapshot(self, name: str, seq: int, body: str) -> None:
        known = self._snapshots.get(name)
        if known is None or known.seq <= seq:
            self._snapshots[name] = Snapshot(seq, body)

    def snapshot(self, name: str) -> Snapshot | None:
        return self._snapshots.get(name)

    def prune(
        self,
        seqs: Collection[int],
        *,
        instead: Sequence[Recorded] = (),
        actions_of: Collection[ObjectId] = (),
        now: float,
    ) -> int:
        for fact in instead:
            self._log_once(fact, now)
        for action_id, stored in list(self._outbox.items()):
            if stored.done and stored.entry.object in actions_of and self._objects[stored.entry.object].ended:
                del self._outbox[action_id]
        unseen = {fact.seq for row in self._objects.values() for fact in row.inbox}
        going = set(seqs) - unseen - {fact.seq for fact in self._log[-1:]}
        before = len(self._log)
        self._log = [fact for fact in self._log if fact.seq not in going or fact.key is not None]
        return before - len(self._log)

    def close(self) -> None:
        """Nothing to let go of."""
