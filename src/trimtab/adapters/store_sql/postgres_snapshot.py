"""A PostgreSQL store as it was at one moment, while others go on writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import cast

import psycopg
from psycopg.abc import QueryNoTemplate

from trimtab.adapters.store_sql.copying import Rows
from trimtab.adapters.store_sql.database import Row
from trimtab.adapters.store_sql.postgres import connect
from trimtab.adapters.store_sql.postgres_errors import explain, public

_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1 FROM schema_version"
"""The first statement after BEGIN fixes what all that follow see."""
_FETCHED = 2000


@contextmanager
def reading(url: str) -> Iterator[Rows]:
    """Gives rows of the moment at which the block begins. Raises `TrimtabError`."""
    with closing(connect(url)) as connection:

        def rows(statement: str) -> Iterator[Row]:
            with connection.cursor("rows") as cursor:
                cursor.itersize = _FETCHED
                cursor.execute(cast(QueryNoTemplate, statement))
                yield from cursor

        try:
            connection.execute(cast(QueryNoTemplate, _MOMENT), prepare=False)
            yield rows
        except psycopg.Error as error:
            raise explain(error, public(url)) from error
