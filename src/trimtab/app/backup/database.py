"""The database's part of a backup: in it, it is always an SQLite file, wherever it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from trimtab.adapters.store_sql.copying import Rows, copy
from trimtab.adapters.store_sql.database import Database
from trimtab.adapters.store_sql.inspection import DatabaseInspection, Inspection, SqliteInspection
from trimtab.adapters.store_sql.migrate import migrations
from trimtab.adapters.store_sql.opening import open_database, open_store
from trimtab.adapters.store_sql.sqlite import BUSY_TIMEOUT_S, explain
from trimtab.app.folder import STORE, database_of
from trimtab.core.errors import failure

FILE = STORE
_CHECK_S = 3600.0
"""A large database takes minutes to be looked at."""


class Snapshot(Protocol):
    """The database as it was at one moment, while others go on writing."""

    @property
    def schema(self) -> int: ...

    def copy_to(self, path: Path) -> None:
        """Write it as a database file that needs no other file beside it."""
        ...


def snapshot(home: Path) -> AbstractContextManager[Snapshot]:
    """The database of now. Raises `TrimtabError` (`not-found`, and what the store raises)."""
    url = database_of(home)
    return _of_file(home / FILE) if url is None else _of_server(url)


@contextmanager
def _of_file(path: Path) -> Iterator[Snapshot]:
    if not path.is_file():
        hint = "say with --home where Trimtab is"
        raise failure("not-found", "there is no database to back up", hint, str(path.parent))
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S)) as source:
            # The first read fixes the moment; SQLite's online backup copies what this transaction sees.
            source.isolation_level = None
            source.execute("BEGIN")
            [schema] = source.execute("SELECT MAX(version) FROM schema_version").fetchone()
            yield _SqliteSnapshot(source, int(schema))
    except sqlite3.DatabaseError as error:
        raise explain(error, path) from error


@contextmanager
def _of_server(url: str) -> Iterator[Snapshot]:
    with DatabaseInspection(open_database(url)) as inspection:
        _refuse_if_newer(inspection)
    from trimtab.adapters.store_sql.postgres_snapshot import reading

    with reading(url) as rows:
        yield _ServerSnapshot(rows, len(migrations()))


class _SqliteSnapshot:
    def __init__(self, source: sqlite3.Connection, schema: int) -> None:
        self._source = source
        self.schema = schema

    def copy_to(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as target:
            self._source.backup(target)
            # Without a log beside it: one file is all of it.
            target.execute("PRAGMA journal_mode = DELETE")
        check(path)


class _ServerSnapshot:
    def __init__(self, rows: Rows, schema: int) -> None:
        self._rows = rows
        self.schema = schema

    def copy_to(self, path: Path) -> None:
        with _opened(path) as target:
            copy(self._rows, target)
        with closing(sqlite3.connect(path)) as made:
            made.execute("PRAGMA journal_mode = DELETE")
        check(path)


@contextmanager
def _opened(place: Path | str) -> Iterator[Database]:
    open_store(place).close()
    with closing(open_database(place)) as database:
        yield database


def forget_controllers(path: Path) -> None:
    """Nobody who worked on the original holds anything of the copy. Brings it to this version's schema, too."""

    with _opened(path) as database:

        def work() -> None:
            database.execute("DELETE FROM controllers")
            database.execute("UPDATE objects SET owner = NULL, lease_until = NULL WHERE owner IS NOT NULL")

        database.write(work)


def move_to(url: str, path: Path) -> None:
    """Copy the file's rows into the empty database at `url`, all or none. Raises `TrimtabError` (`not-empty`, ...)."""
    with _opened(url) as target, closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source:
        copy(source.execute, target)


def check(path: Path) -> None:
    """Raises `TrimtabError` when the file is damaged (`store-corrupt`) or of a newer schema (`store-newer`)."""
    with SqliteInspection(path, _CHECK_S) as inspection:
        _refuse_if_newer(inspection)
        found = inspection.damage()
    if found:
        raise failure("store-corrupt", f"the database is damaged ({found})", "use an older backup", str(path))


def _refuse_if_newer(inspection: Inspection) -> None:
    found, known, needed = inspection.schemas()
    if needed > known:
        raise failure(
            "store-newer",
            f"the store has schema {found}, this version of Trimtab knows schemas up to {known}",
            "use the version of Trimtab that wrote it, or newer",
            inspection.place,
        )
