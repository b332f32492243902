"""Brings a database to the newest schema, one numbered step after the other, each in a transaction of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from trimtab.adapters.store_sql import statements
from trimtab.adapters.store_sql.sqlite import Database
from trimtab.core.errors import failure


def migrations() -> tuple[str, ...]:
    """The scripts of this version of Trimtab, in order; the first one makes schema 1."""
    folder = resources.files("trimtab.adapters.store_sql") / "migrations"
    scripts = sorted((item.name, item.read_text()) for item in folder.iterdir() if item.name.endswith(".sql"))
    for version, (name, _) in enumerate(scripts, start=1):
        assert int(name.partition("_")[0]) == version, f"the number of {name} should be {version}"
    return tuple(script for _, script in scripts)


def migrate(database: Database, path: Path, scripts: Sequence[str]) -> None:
    """Run the scripts that the database has not seen. Several processes may do so at once.

    Raises `TrimtabError` (`store-newer`) when the database knows more scripts than there are; it stays as it is.
    """
    with database.writing():
        database.execute(statements.SCHEMA_TABLE)
        [(current,)] = database.execute(statements.SCHEMA_VERSION)
    if current > len(scripts):
        raise failure(
            "store-newer",
            f"the store has schema {current}, this version of Trimtab knows schemas up to {len(scripts)}",
            "run the version of Trimtab that wrote it, or newer",
            str(path),
        )
    for version, script in enumerate(scripts, start=1):
        if version > current:
            _apply(database, version, script)


def _apply(database: Database, version: int, script: str) -> None:
    with database.writing():
        if database.execute(statements.MIGRATED, {"version": version}):
            for statement in _split(script):
                database.execute(statement)


def _split(script: str) -> Iterator[str]:
    """The script's statements. (`executescript` would end the transaction.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), f"a migration ends in the middle of a statement: {statement!r}"
