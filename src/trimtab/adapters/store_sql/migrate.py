"""Brings a database to the newest schema, one numbered step after the other, each in a transaction of its own.

Others may be using it meanwhile, also programs that do not know the new steps. So a migration only adds (tables,
columns with defaults), and its first line says which schema a program must know at least to go on working:
`-- works-from: 3`. Whoever has to break with the past raises that number, and says in the release notes that no older
version may be running.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources

from trimtab.adapters.store_sql import statements
from trimtab.adapters.store_sql.database import Database
from trimtab.core.errors import failure

_WORKS_FROM = re.compile(r"-- works-from: (\d+)")


def migrations() -> tuple[str, ...]:
    """The scripts of this version of Trimtab, in order; the first one makes schema 1."""
    folder = resources.files("trimtab.adapters.store_sql") / "migrations"
    scripts = sorted((item.name, item.read_text()) for item in folder.iterdir() if item.name.endswith(".sql"))
    for version, (name, _) in enumerate(scripts, start=1):
        assert int(name.partition("_")[0]) == version, f"the number of {name} should be {version}"
    return tuple(script for _, script in scripts)


def migrate(database: Database, scripts: Sequence[str]) -> None:
    """Run the scripts that the database has not seen. Several processes may do so at once.

    A database that has seen more of them is taken as it is when those do not mind. Raises `TrimtabError`
    (`store-newer`) when they do; it stays as it is.
    """
    current = database.write(lambda: _version(database))
    if current > len(scripts):
        _refuse_if_too_new(database, current, len(scripts))
    for version, script in enumerate(scripts, start=1):
        if version > current:
            _apply(database, version, script)


def _version(database: Database) -> int:
    database.execute(statements.SCHEMA_TABLE)
    [(current,)] = database.execute(statements.SCHEMA_VERSION)
    return int(current)


def _refuse_if_too_new(database: Database, current: int, known: int) -> None:
    [(needed,)] = database.execute(statements.NEEDED, {"known": known})
    if needed > known:
        raise failure(
            "store-newer",
            f"the store has schema {current}, which needs a Trimtab that knows schema {needed}; this one knows {known}",
            "run the version of Trimtab that wrote it, or newer",
            database.place,
        )


def _apply(database: Database, version: int, script: str) -> None:
    said = _WORKS_FROM.match(script)

    def work() -> None:
        if database.execute(statements.MIGRATED, {"version": version}):
            for statement in _split(database.migration(script)):
                database.execute(statement)
            if said is not None:
                database.execute(statements.WORKS_FROM, {"version": version, "works_from": int(said[1])})

    database.write(work)


def _split(script: str) -> Iterator[str]:
    """The script's statements. (`executescript` would end the transaction.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), f"a migration ends in the middle of a statement: {statement!r}"
