"""The Store on an SQL database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

from trimtab.adapters.store_sql import statements
from trimtab.adapters.store_sql.database import Database, Row
from trimtab.adapters.store_sql.migrate import migrate, migrations
from trimtab.adapters.store_sql.sqlite import SqliteDatabase
from trimtab.codec import decode_fact, encode_fact, read_fact
from trimtab.core.errors import TrimtabError, stale_fence
from trimtab.core.model.facts import Fact, Recorded
from trimtab.core.model.identity import ObjectId
from trimtab.ports.store import PRUNED_AT_ONCE, Claim, Controller, Listener, ObjectRow, OutboxEntry, Snapshot


class SqlStore:
    """A `Store` in a database, which is brought to the newest schema first. Closes it when it cannot be used.

    Whatever was being stored when a method raises is not stored at all, unless a connection was lost while it was
    waiting for the answer to its commit: then nobody knows.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        try:
            migrate(database, migrations())
        except TrimtabError:
            database.close()
            raise

    def together(self, objects: Collection[ObjectId]) -> AbstractContextManager[None]:
        del objects  # writers take turns here anyway
        return self._database.together()

    # --- facts ---

    def append(self, facts: Sequence[Recorded], now: float) -> tuple[Recorded, ...]:
        def work() -> tuple[Recorded, ...]:
            recorded = self._record(facts, now)
            if recorded:
                self._database.announce()
            return recorded

        return self._database.write(work)

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
        of_objects = bool(object_prefix or object_id)
        statement = statements.read_facts(of_objects=of_objects, kinds=len(kinds), newest_first=newest_first)
        objects = _only(object_id) if object_id else _range(object_prefix)
        named_kinds = {f"kind{i}": kind for i, kind in enumerate(kinds)}
        page = {"after": 0 if newest_first else after, "limit": limit}
        rows = self._database.execute(statement, {**page, **objects, **named_kinds})
        return tuple(_recorded(row, read_fact) for row in rows)

    def _record(self, facts: Iterable[Recorded], now: float, own: ObjectId | None = None) -> tuple[Recorded, ...]:
        """Add facts to the log, and to the inbox of every object but the one whose own decision they are."""
        recorded = []
        for fact in facts:
            seqs = self._database.execute(statements.RECORD, _fact_row(fact, now))
            for (seq,) in seqs:
                recorded.append(replace(fact, seq=seq, at=now))
                if fact.object != own:
                    self._database.execute(statements.WAKE, {"id": fact.object, "now": now})
                    self._database.execute(statements.DELIVER, {"object": fact.object, "seq": seq})
        return tuple(recorded)

    # --- objects ---

    def due(self, now: float, owner: str, limit: int = 100) -> tuple[ObjectId, ...]:
        rows = self._database.execute(statements.DUE, {"now": now, "owner": owner, "limit": limit})
        return tuple(object_id for (object_id,) in rows)

    def peek(self, object_id: ObjectId) -> str | None:
        rows = self._database.execute(statements.PEEK, {"id": object_id})
        return rows[0][0] if rows else None

    def look_again(self, looks: Mapping[ObjectId, float], now: float) -> None:
        if looks:
            rows = [{"id": object_id, "at": at, "now": now} for object_id, at in looks.items()]
            self._database.write(lambda: self._database.execute_many(statements.LOOK_AGAIN, rows))

    def rewind(self, now: float) -> None:
        def work() -> None:
            for statement in statements.REWIND:
                self._database.execute(statement, {"now": now})

        self._database.write(work)

    def objects(self, prefix: str) -> tuple[ObjectRow, ...]:
        return tuple(map(_object, self._database.execute(statements.OBJECTS, _range(prefix))))

    def get(self, object_id: ObjectId) -> ObjectRow | None:
        rows = self._database.execute(statements.GET, {"id": object_id})
        return _object(rows[0]) if rows else None

    # --- decisions ---

    def claim(self, object_id: ObjectId, owner: str, now: float, ttl_s: float) -> Claim | None:
        # Reading first saves a write, and with it the wait for the disk, on all but few ticks. What is read here needs
        # no transaction: if another controller takes over between the lines, the commit is refused by the fence.
        for fence, holder, lease_until, state in self._database.execute(statements.LEASE, {"id": object_id}):
            if holder == owner and lease_until - now > ttl_s / 2:
                return self._claim(object_id, fence, state)
            if holder not in (None, owner) and lease_until > now:
                return None
        taken = {"id": object_id, "owner": owner, "now": now, "until": now + ttl_s}

        def work() -> Claim | None:
            rows = self._database.execute(statements.TAKE, taken)
            return self._claim(object_id, *rows[0]) if rows else None

        return self._database.write(work, alone=True)

    def _claim(self, object_id: ObjectId, fence: int, state: str | None) -> Claim:
        unseen = self._database.execute(statements.UNSEEN, {"id": object_id})
        return Claim(object_id, fence, state, tuple(map(_recorded, unseen)))

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
        decided = {
            "id": claim.object,
            "fence": claim.fence,
            "state": state,
            "wake_at": None if ended else wake_at,
            "ended": ended,
            "now": now,
        }

        def work() -> tuple[Recorded, ...]:
            for fact in claim.facts:
                self._database.execute(statements.SEEN, {"id": claim.object, "seq": fact.seq})
            if not self._database.execute(statements.DECIDED, decided):
                raise stale_fence(claim.object, self._fence(claim.object), claim.fence)
            recorded = self._record(facts, now, own=claim.object)
            for entry in todo:
                self._database.execute(statements.STORE_ACTION, _entry_row(entry, now))
            if any(fact.object != claim.object for fact in recorded):
                self._database.announce()
            return recorded

        return self._database.write(work)

    def release_leases(self, owner: str, object_id: ObjectId | None = None) -> None:
        statement = statements.RELEASE_ALL if object_id is None else statements.RELEASE
        released: dict[str, object] = {"owner": owner} if object_id is None else {"owner": owner, "id": object_id}

        def work() -> None:
            self._database.execute(statement, released)
            self._database.announce()

        self._database.write(work, alone=object_id is not None)

    def _fence(self, object_id: ObjectId) -> int:
        rows = self._database.execute(statements.FENCE, {"id": object_id})
        return int(rows[0][0]) if rows else 0

    # --- actions ---

    def outbox(self, now: float, owner: str, limit: int = 100) -> tuple[OutboxEntry, ...]:
        rows = self._database.execute(statements.OFFERED, {"now": now, "owner": owner, "limit": limit})
        return tuple(OutboxEntry(*row) for row in rows)

    def pending(self, object_id: ObjectId) -> tuple[OutboxEntry, ...]:
        return tuple(OutboxEntry(*row) for row in self._database.execute(statements.PENDING, {"object": object_id}))

    def done(self, entry: OutboxEntry, facts: Sequence[Recorded], now: float) -> None:
        def work() -> None:
            held = self._fence(entry.object)
            if held != entry.fence:
                raise stale_fence(entry.object, held, entry.fence)
            if self._database.execute(statements.TAKE_OUT, {"id": entry.id}):
                self._database.execute(statements.CARRIED_OUT, {"id": entry.id})
                self._record(facts, now)

        self._database.write(work)

    def postpone(self, entry: OutboxEntry, until: float) -> None:
        postponed = {"id": entry.id, "fence": entry.fence, "until": until}
        self._database.write(lambda: self._database.execute(statements.POSTPONE, postponed), alone=True)

    # --- who else is here ---

    def check_in(self, controller: Controller, now: float) -> None:
        row = {**asdict(controller), "seen_at": now}
        self._database.write(lambda: self._database.execute(statements.CHECK_IN, row), alone=True)

    def check_out(self, owner: str) -> None:
        self._database.write(lambda: self._database.execute(statements.CHECK_OUT, {"owner": owner}), alone=True)

    def controllers(self) -> tuple[Controller, ...]:
        return tuple(Controller(*row) for row in self._database.execute(statements.CONTROLLERS))

    def listener(self) -> Listener | None:
        return self._database.listener()

    # --- what was folded, and what may go ---

    def keep_snapshot(self, name: str, seq: int, body: str) -> None:
        row = {"name": name, "seq": seq, "body": body}
        self._database.write(lambda: self._database.execute(statements.KEEP_SNAPSHOT, row), alone=True)

    def snapshot(self, name: str) -> Snapshot | None:
        rows = self._database.execute(statements.SNAPSHOT, {"name": name})
        return Snapshot(*rows[0]) if rows else None

    def prune(
        self,
        seqs: Collection[int],
        *,
        instead: Sequence[Recorded] = (),
        actions_of: Collection[ObjectId] = (),
        now: float,
    ) -> int:
        assert len(seqs) <= PRUNED_AT_ONCE

        def work() -> int:
            for fact in instead:
                self._database.execute(statements.RECORD, _fact_row(fact, now))
            if actions_of:
                self._database.execute_many(statements.FORGET_ACTIONS, [{"id": of} for of in actions_of])
            return self._database.execute_many(statements.PRUNE, [{"seq": seq} for seq in seqs]) if seqs else 0

        return self._database.write(work)

    def close(self) -> None:
        self._database.close()


class SqliteStore(SqlStore):
    """A `Store` in one file, made if it is missing; its folder must exist.

    For the thread that made it; any number of processes may share the file (on a local disk). Raises `TrimtabError`
    with the codes `store-unwritable`, `store-full`, `store-corrupt`, `store-newer`, `store-busy`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(SqliteDatabase(path))


def _range(prefix: str) -> dict[str, str]:
    """Every text that starts with the prefix lies between these two, by code points."""
    return {"prefix": prefix, "beyond": f"{prefix}\U0010ffff"}


def _only(object_id: ObjectId) -> dict[str, str]:
    """The id alone: nothing that goes on after it comes before a control character."""
    return {"prefix": object_id, "beyond": f"{object_id}\x01"}


def _fact_row(recorded: Recorded, now: float) -> dict[str, object]:
    return {
        "at": now,
        "object": recorded.object,
        "kind": recorded.kind,
        "body": encode_fact(recorded.fact),
        "reason": recorded.reason,
        "actor": recorded.actor,
        "key": recorded.key,
    }


def _recorded(row: Row, decode: Callable[[str, str], Fact] = decode_fact) -> Recorded:
    seq, at, object_id, kind, body, reason, actor, key = row
    return Recorded(object_id, decode(kind, body), reason, actor, key, seq, at)


def _object(row: Row) -> ObjectRow:
    object_id, state, fence, owner, wake_at, ended = row
    return ObjectRow(object_id, state, fence, owner, wake_at, bool(ended))


def _entry_row(entry: OutboxEntry, now: float) -> dict[str, object]:
    return {"id": entry.id, "object": entry.object, "kind": entry.kind, "action": entry.action, "now": now}
