"""Looking into a store without changing it: no migration, no lock that others would wait for, no file made."""

from __future__ import annotations

import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from trimtab.adapters.store_sql import statements
from trimtab.adapters.store_sql.database import Database, Row
from trimtab.adapters.store_sql.migrate import migrations
from trimtab.adapters.store_sql.sqlite import explain
from trimtab.codec import read_fact
from trimtab.core.errors import failure
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ObjectId

_LOCK_WAIT_S = 1.0
_STEPS = 10_000
"""After how many of the database's instructions the time is looked at."""

_OVERDUE = "SELECT id, wake_at, owner, lease_until FROM objects WHERE wake_at <= :before ORDER BY wake_at LIMIT :limit"
_UNDONE = "SELECT object, kind, attempts, due_at FROM outbox ORDER BY due_at LIMIT :limit"
_MOMENTS = "SELECT at FROM facts ORDER BY seq DESC LIMIT :limit"
_LEASED = "SELECT MAX(lease_until) FROM objects"


class Schemas(NamedTuple):
    """Of the database; the newest that this version of Trimtab knows; the oldest that the database needs of it."""

    found: int
    known: int
    needed: int


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


class Inspection(ABC):
    """One reading of a store, for the thread that made it.

    Every method raises `TrimtabError`: what the store raises, and `store-slow` when there is no time left.
    """

    place: str
    """Where the database is, for messages: a path, or a URL without its password."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _read(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows that the statement gives."""

    # --- the database itself ---

    def schemas(self) -> Schemas:
        [(found,)] = self._read(statements.SCHEMA_VERSION)
        known = len(migrations())
        # An older database has no column that could say what it needs, and needs nothing that is not known.
        [(needed,)] = self._read(statements.NEEDED, {"known": known}) if found > known else [(found,)]
        return Schemas(int(found), known, int(needed))

    def damage(self) -> str:
        """What the database's own check complains about; empty when it is sound, or checks itself."""
        return ""

    def is_locked(self) -> bool:
        """Whether somebody has held the right to write for longer than any transaction of Trimtab takes."""
        return False

    # --- what is in it ---

    def facts(
        self, *, after: int = 0, limit: int, kinds: Collection[str], newest_first: bool = False
    ) -> tuple[Recorded, ...]:
        """Facts of these kinds by sequence number; newest first: `after` is ignored."""
        statement = statements.read_facts(of_objects=False, kinds=len(kinds), newest_first=newest_first)
        named = {f"kind{number}": kind for number, kind in enumerate(kinds)}
        rows = self._read(statement, {"after": 0 if newest_first else after, "limit": limit, **named})
        return tuple(
            Recorded(object_id, read_fact(kind, body), reason, actor, key, seq, at)
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


class SqliteInspection(Inspection):
    """Of a file, until `within_s` are over. No file is made, and none is changed."""

    def __init__(self, path: Path, within_s: float) -> None:
        self._path, self.place = path, str(path)
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

    def close(self) -> None:
        self._connection.close()

    def damage(self) -> str:
        [(found,)] = self._read("PRAGMA quick_check(1)")
        return "" if found == "ok" else str(found)

    def is_locked(self) -> bool:
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


class DatabaseInspection(Inspection):
    """Of a database on a server, which sees to its own soundness and to the time that statements take."""

    def __init__(self, database: Database) -> None:
        self._database, self.place = database, database.place

    def close(self) -> None:
        self._database.close()

    def _read(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        return self._database.execute(statement, parameters)
