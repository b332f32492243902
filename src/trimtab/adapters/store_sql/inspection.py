"""Looking into a store without changing it: no migration, no lock that others would wait for, no file made."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trimtab.adapters.store_sql import statements
from trimtab.adapters.store_sql.database import Row
from trimtab.adapters.store_sql.migrate import migrations
from trimtab.adapters.store_sql.sqlite import explain
from trimtab.codec import decode_fact
from trimtab.core.errors import failure
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ObjectId

_LOCK_WAIT_S = 1.0
_STEPS = 10_000
"""After how many of the database's instructions the time is looked at."""

_FACTS = statements.read_facts(of_objects=False, kinds=0, newest_first=False)
_OVERDUE = "SELECT id, wake_at, owner, lease_until FROM objects WHERE wake_at <= :before ORDER BY wake_at LIMIT :limit"
_UNDONE = "SELECT object, kind, attempts, due_at FROM outbox ORDER BY due_at LIMIT :limit"
_MOMENTS = "SELECT at FROM facts ORDER BY seq DESC LIMIT :limit"
_LEASED = "SELECT MAX(lease_until) FROM objects"


@dataclass(frozen=True, slots=True)
class Overdue:
    """An object that should have been decided since `wake_at` (seconds since the epoch)."""

    object: ObjectId
    wake_at: float
    owner: str | None
    lease_until: float | None


@dataclass(frozen=True, slots=True)
class Undone:
    """An action that is not done yet."""

    object: ObjectId
    kind: str
    attempts: int
    due_at: float


class Inspection:
    """One reading of a SQLite store, for the thread that made it, until `within_s` are over.

    Every method raises `TrimtabError`: what the store raises, and `store-slow` when the time is over.
    """

    def __init__(self, path: Path, within_s: float) -> None:
        self._path = path
        self._deadline = time.monotonic() + within_s
        if not path.is_file():
            raise failure("store-missing", "there is no database", "`trimtab up` makes one", str(path))
        # Without a log beside it nobody writes, and SQLite would have to make files to find that out.
        self._is_open = path.with_name(f"{path.name}-wal").exists()
        how = "mode=ro" if self._is_open else "mode=ro&immutable=1"
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=_LOCK_WAIT_S)
        except sqlite3.DatabaseError as error:
            raise explain(error, path) from error
        self._connection.set_progress_handler(lambda: time.monotonic() > self._deadline, _STEPS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._connection.close()

    # --- the database itself ---

    def schemas(self) -> tuple[int, int]:
        """The schema of the database, and the newest that this version of Trimtab knows."""
        [(found,)] = self._read(statements.SCHEMA_VERSION)
        return int(found), len(migrations())

    def damage(self) -> str:
        """What the database's own check complains about; empty when it is sound."""
        [(found,)] = self._read("PRAGMA quick_check(1)")
        return "" if found == "ok" else str(found)

    def is_locked(self) -> bool:
        """Whether somebody has held the right to write for longer than any transaction of Trimtab takes."""
        if not self._is_open:
            return False
        try:
            writer = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=_LOCK_WAIT_S)
        except sqlite3.DatabaseError as error:
            raise explain(error, self._path) from error
        writer.isolation_level = None
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return True
            raise explain(error, self._path) from error
        finally:
            writer.close()
        return False

    # --- what is in it ---

    def facts(self, after: int, limit: int) -> tuple[Recorded, ...]:
        """Facts by sequence number."""
        rows = self._read(_FACTS, {"after": after, "limit": limit})
        return tuple(
            Recorded(object_id, decode_fact(kind, body), reason, actor, key, seq, at)
            for seq, at, object_id, kind, body, reason, actor, key in rows
        )

    def overdue(self, before: float, limit: int = 100) -> tuple[Overdue, ...]:
        """Objects that should have been decided before a moment, the longest waiting first."""
        return tuple(Overdue(*row) for row in self._read(_OVERDUE, {"before": before, "limit": limit}))

    def undone(self, limit: int = 1000) -> tuple[Undone, ...]:
        """Actions that are not done, the oldest first."""
        return tuple(Undone(*row) for row in self._read(_UNDONE, {"limit": limit}))

    def moments(self, limit: int = 1000) -> tuple[float, ...]:
        """When the newest facts were recorded, in the order in which they were."""
        return tuple(at for (at,) in reversed(self._read(_MOMENTS, {"limit": limit})))

    def leased_until(self) -> float | None:
        """When the last lease runs out."""
        [(until,)] = self._read(_LEASED)
        return None if until is None else float(until)

    def _read(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        try:
            return self._connection.execute(statement, parameters or {}).fetchall()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                hint = (
                    "it is large, or its disk is slow; `sqlite3 FILE 'PRAGMA quick_check'` takes all the time it needs"
                )
                raise failure("store-slow", "the database could not be read in time", hint, str(self._path)) from None
            raise explain(error, self._path) from error
