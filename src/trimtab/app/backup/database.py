"""The database's part of a backup. Another database needs its own `snapshot` and `check`, and nothing else here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from trimtab.adapters.store_sql.migrate import migrations
from trimtab.adapters.store_sql.sqlite import BUSY_TIMEOUT_S, explain
from trimtab.core.errors import failure

FILE = "trimtab.db"


class Snapshot(Protocol):
    """The database as it was at one moment, while others go on writing."""

    @property
    def schema(self) -> int: ...

    def copy_to(self, path: Path) -> None:
        """Write it as a database file that needs no other file beside it."""
        ...


@contextmanager
def snapshot(home: Path) -> Iterator[Snapshot]:
    """The database of now. Raises `TrimtabError` (`not-found`, and what the store raises)."""
    path = home / FILE
    if not path.is_file():
        raise failure(
            "not-found", "there is no database to back up", "say where Trimtab's folder is: --home", str(home)
        )
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S)) as source:
            # The first read fixes the moment; SQLite's online backup copies what this transaction sees.
            source.isolation_level = None
            source.execute("BEGIN")
            [schema] = source.execute("SELECT MAX(version) FROM schema_version").fetchone()
            yield _SqliteSnapshot(source, int(schema))
    except sqlite3.DatabaseError as error:
        raise explain(error, path) from error


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


def check(path: Path) -> None:
    """Raises `TrimtabError` when the file is damaged (`store-corrupt`) or of a newer schema (`store-newer`)."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            [found] = copy.execute("PRAGMA quick_check(1)").fetchone()
            [schema] = copy.execute("SELECT MAX(version) FROM schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise explain(error, path) from error
    if found != "ok":
        raise failure("store-corrupt", f"the database is damaged ({found})", "use an older backup", str(path))
    if schema > len(migrations()):
        raise failure(
            "store-newer",
            f"the store has schema {schema}, this version of Trimtab knows schemas up to {len(migrations())}",
            "use the version of Trimtab that wrote it, or newer",
            str(path),
        )
