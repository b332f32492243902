"""Which database a store is in: a file, or what a URL names."""

from __future__ import annotations

from pathlib import Path

from trimtab.adapters.store_sql.database import Database
from trimtab.adapters.store_sql.sqlite import SqliteDatabase
from trimtab.adapters.store_sql.store import SqlStore
from trimtab.core.errors import failure

INSTALL = "pip install 'trimtab[postgres]'"


def open_database(place: Path | str) -> Database:
    """The database alone, as it is. Raises what `open_store` does."""
    if isinstance(place, Path):
        return SqliteDatabase(place)
    if not place.startswith(("postgresql://", "postgres://")):
        hint = "give a file's path, or postgresql://USER@HOST:PORT/DATABASE"
        raise failure("store-url", "only PostgreSQL can be named by a URL", hint)
    try:
        from trimtab.adapters.store_sql.postgres import PostgresDatabase
    except ImportError as error:
        raise failure("store-driver", f"PostgreSQL needs the package psycopg ({error})", INSTALL) from None
    return PostgresDatabase(place)


def open_store(place: Path | str) -> SqlStore:
    """The store in a file (made if it is missing) or in PostgreSQL (``postgresql://USER@HOST:PORT/DATABASE``; the
    database must exist, its tables are made).

    Raises `TrimtabError`. Of a file: see `SqliteStore`. Of a server: `store-unreachable`, `store-refused` (it does not
    let us in), `store-missing` (the database does not exist), `store-full`, `store-busy`, `store-unwritable` (it only
    reads), `store-unsupported`, `store-newer`, `store-url`, `store-driver` (psycopg is not installed).
    """
    return SqlStore(open_database(place))
