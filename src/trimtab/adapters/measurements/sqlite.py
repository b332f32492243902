"""Rows from a SQLite file, read in a thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from trimtab.adapters.measurements.question import Question
from trimtab.core.errors import failure

MARK = ":{}"
_LOCKED_S = 1.0
"""How long a reading waits for a writer."""
_LOOK_EVERY = 10_000
"""After so many instructions of SQLite's machine it is asked whether anyone still wants the answer."""


async def rows(question: Question, query: str, most: int) -> Sequence[Sequence[object]]:
    """At most so many rows. A query that nobody waits for any longer ends. Raises TrimtabError."""
    path = question.with_variables(question.source.url).removeprefix("sqlite:///")
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(_fetch, path, query, question.placeholders, most, given_up)
    except sqlite3.Error as error:
        if not Path(path).exists():
            hint = "sqlite:///PATH is relative to where Trimtab was started, sqlite:////PATH is absolute"
            raise failure("metric-unreachable", f"there is no database {path}", hint) from None
        hint = "see the query, and that Trimtab may read the file"
        raise failure("metric-query", f"SQLite says: {error}", hint) from None
    finally:
        given_up.set()


def _fetch(
    path: str, query: str, values: Mapping[str, str | int], most: int, given_up: threading.Event
) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=_LOCKED_S)) as connection:
        connection.execute("pragma query_only = on")
        connection.set_progress_handler(given_up.is_set, _LOOK_EVERY)
        return connection.execute(query, values).fetchmany(most)
