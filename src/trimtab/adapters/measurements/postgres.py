"""Rows from a PostgreSQL server. Its driver is the extra `postgres`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from trimtab.adapters.measurements.question import Question
from trimtab.core.errors import TrimtabError, failure

if TYPE_CHECKING:
    from psycopg import AsyncConnection

MARK = "%({})s"


async def rows(question: Question, query: str, most: int) -> Sequence[Sequence[object]]:
    """At most so many rows. Raises TrimtabError; what it quotes may still have the password in it."""
    try:
        import psycopg
    except ImportError:
        hint = "pip install 'trimtab[postgres]'"
        raise failure("metric-driver", "PostgreSQL needs a driver that is not installed", hint) from None
    url = question.with_variables(question.source.url, lambda value: quote(value, safe=""))
    try:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.set_read_only(True)
            return await _fetch(connection, question, query, most)
    except psycopg.errors.QueryCanceled:
        raise _too_slow(question) from None
    except psycopg.Error as error:
        said = str(error)
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            hint = "see that it runs, and the URL"
            raise failure("metric-unreachable", f"the database cannot be reached: {said}", hint) from None
        hint = "see the query, and what the user of the URL may read"
        raise failure("metric-query", f"PostgreSQL says: {said}", hint) from None


async def _fetch(
    connection: AsyncConnection[Any], question: Question, query: str, most: int
) -> list[tuple[object, ...]]:
    limit_ms = str(round(question.source.timeout_s * 1000))
    await connection.execute("select set_config('statement_timeout', %s, true)", (limit_ms,))
    # As floats, or times would be 4-byte integers that overflow when multiplied.
    values = {name: value if isinstance(value, str) else float(value) for name, value in question.placeholders.items()}
    found: list[tuple[object, ...]] = []
    async with connection.cursor() as cursor:
        stream = cast(AsyncGenerator[tuple[object, ...], None], cursor.stream(query.encode(), values))
        async with aclosing(stream):
            async for row in stream:
                found.append(row)
                if len(found) >= most:
                    break
    return found


def _too_slow(question: Question) -> TrimtabError:
    message = f"PostgreSQL ended the query after {question.source.timeout_s:g} s"
    return failure("metric-timeout", message, "make it faster, or give it more time: `timeout`")
