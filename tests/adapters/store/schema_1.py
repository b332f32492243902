"""The store as the program of schema 1 had it: its migration only, and its statements where they were others."""

from __future__ import annotations

from pathlib import Path

from trimtab.adapters.store_sql import statements
from trimtab.adapters.store_sql.database import Parameters, Row
from trimtab.adapters.store_sql.migrate import migrate, migrations
from trimtab.adapters.store_sql.postgres import PostgresDatabase
from trimtab.adapters.store_sql.sqlite import SqliteDatabase
from trimtab.adapters.store_sql.store import SqlStore

RECORD = """
INSERT INTO facts (at, object, kind, body, reason, actor, key)
VALUES (:at, :object, :kind, :body, :reason, :actor, :key)
ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING
RETURNING seq
"""

STORE_ACTION = """
INSERT INTO outbox (id, object, kind, action, due_at)
SELECT :id, :object, :kind, :action, :now WHERE NOT EXISTS (SELECT 1 FROM carried_out WHERE id = :id)
ON CONFLICT (id) DO NOTHING
"""

OLD = {statements.RECORD: RECORD, statements.STORE_ACTION: STORE_ACTION}


class Schema1Database(SqliteDatabase):
    def execute(self, statement: str, parameters: Parameters | None = None) -> list[Row]:
        return super().execute(OLD.get(statement, statement), parameters)


class Schema1Store(SqlStore):
    """Opens a new place, or one that a newer program has brought further. (In PostgreSQL schema 1 was never alone.)"""

    def __init__(self, place: Path | str) -> None:
        self._database = Schema1Database(place) if isinstance(place, Path) else PostgresDatabase(place)
        migrate(self._database, migrations()[:1])
