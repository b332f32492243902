"""A whole store from one database into another one, of whatever kind each is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from trimtab.adapters.store_sql.database import Database, Row
from trimtab.core.errors import failure

TABLES = {
    "objects": ("id", "fence", "owner", "lease_until", "wake_at", "ended", "state"),
    "facts": ("seq", "at", "object", "kind", "body", "reason", "actor", "key"),
    "inbox": ("object", "seq"),
    "outbox": ("seq", "id", "object", "kind", "action", "attempts", "due_at"),
    "carried_out": ("id",),
}
"""What there is to copy, in an order in which every row finds what it refers to. Not copied: who uses a store, and
views that can be folded again. These columns are those of the first schema: so a store of any schema can be read."""
_TRUTHS = {("objects", "ended")}
"""Columns that are true or false, which SQLite keeps as numbers."""
_AT_ONCE = 1000


class Rows(Protocol):
    """Where rows come from."""

    def __call__(self, statement: str, /) -> Iterable[Row]: ...


def copy(rows: Rows, target: Database) -> None:
    """Fill an empty store with all rows that `rows` gives for `SELECT` statements: all of them or none.

    Raises `TrimtabError` (`not-empty` when there is something in `target`).
    """

    def work() -> None:
        for table in TABLES:
            [(found,)] = target.execute(f"SELECT COUNT(*) FROM {table}")
            if found:
                hint = "use an empty database, or another schema of it"
                raise failure("not-empty", "there is something in the database already", hint, target.place)
        for table, columns in TABLES.items():
            names = ", ".join(columns)
            values = ", ".join(f":{column}" for column in columns)
            for part in _parts(rows(f"SELECT {names} FROM {table}")):
                records = [_record(table, columns, row) for row in part]
                target.execute_many(f"INSERT INTO {table} ({names}) VALUES ({values})", records)

    target.write(work)


def _record(table: str, columns: Sequence[str], row: Row) -> dict[str, Any]:
    return {
        column: bool(value) if (table, column) in _TRUTHS else value for column, value in zip(columns, row, strict=True)
    }


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while part := list(islice(iterator, _AT_ONCE)):
        yield part
