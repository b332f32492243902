"""Databases: a query for ``bad`` or ``all`` gives one number, a query for ``scores`` rows of a score, or of a score and
how often it came.

Placeholders are bound parameters, whatever is in them: they are never part of the SQL. No row and NULL are 0, as is a
sum of nothing. Connections only read, and are opened for each query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from trimtab.adapters.measurements import postgres, sqlite
from trimtab.adapters.measurements.question import Found, Question
from trimtab.core.errors import failure

LIMIT_ROWS = 20_000

Row = Sequence[object]

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<comment>--[^\n]*|/\*.*?\*/)"""
    r"""|\$(?P<dollar>\$)|\$(?:(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})""",
    re.DOTALL,
)


class Sql:
    """SQLite (``sqlite:///PATH``) and PostgreSQL (``postgresql://...``); ``${NAME}`` in the URL is a variable."""

    async def find(self, question: Question) -> Found:
        is_postgres = question.source.url.startswith("postgres")
        query = bind(question, postgres.MARK if is_postgres else sqlite.MARK, percent="%%" if is_postgres else "%")
        ask = postgres.rows if is_postgres else sqlite.rows
        rows = await ask(question, query, LIMIT_ROWS + 1)
        if len(rows) > LIMIT_ROWS:
            hint = "group them: select score, count(*) ... group by score"
            raise failure("metric-flood", f"the query gives more than {LIMIT_ROWS:,} rows", hint)
        return Found(_scores(rows) if question.key == "scores" else _number(rows))


def bind(question: Question, mark: str, percent: str = "%") -> str:
    """The query with a marker of the driver in place of each placeholder; `percent` is how it writes a percent sign.
    Raises TrimtabError for a placeholder within a text, where it would stand for itself."""
    names = question.placeholders

    def marked(found: re.Match[str]) -> str:
        name = found["name"] or found["braced"]
        if found["text"] and any(_named(inner) in names for inner in _TOKEN.finditer(found["text"][1:-1])):
            hint = "take the quotes away: release = $release"
            raise failure("metric-query", f"the placeholder in {found['text']} stands within quotes", hint)
        if found["dollar"]:
            return "$"
        return mark.format(name) if name in names else found[0].replace("%", percent)

    return _substitute(question.source.queries[question.key], marked, percent)


def _substitute(text: str, marked: Callable[[re.Match[str]], str], percent: str) -> str:
    pieces, end = [], 0
    for found in _TOKEN.finditer(text):
        pieces += [text[end : found.start()].replace("%", percent), marked(found)]
        end = found.end()
    return "".join([*pieces, text[end:].replace("%", percent)])


def _named(found: re.Match[str]) -> str | None:
    return found["name"] or found["braced"]


def _number(rows: Sequence[Row]) -> object:
    if not rows:
        return 0
    if len(rows) > 1 or len(rows[0]) != 1:
        shape = f"{len(rows)} rows" if len(rows) > 1 else f"{len(rows[0])} columns"
        raise failure("metric-query", f"the query gives {shape} instead of one number", "for example select count(*)")
    return 0 if rows[0][0] is None else rows[0][0]


def _scores(rows: Sequence[Row]) -> list[object]:
    if rows and len(rows[0]) > 2:
        hint = "select score ..., or select score, count(*) ... group by score"
        raise failure("metric-query", f"the query gives {len(rows[0])} columns instead of scores", hint)
    return [row[0] if len(row) == 1 else tuple(row) for row in rows]
