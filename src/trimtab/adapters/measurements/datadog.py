"""Datadog: timeseries queries over ``/api/v1/query``, whose points since ``$since`` are added up.

So a query gives counts, not rates: ``sum:refusals{release:$release}.as_count()``. Points that Datadog gives for a time
span that ends after ``$since`` count. Without any point the total is 0. Numbers are as of the newest point. Single
scores are not to be had.
"""

from __future__ import annotations

from typing import Any

from trimtab.adapters.measurements.http_json import HttpJson, endpoint, malformed
from trimtab.adapters.measurements.numbers import number
from trimtab.adapters.measurements.question import Found, Question
from trimtab.core.errors import failure

_ANSWERS = "Datadog's API"


class Datadog:
    """The keys are in `headers`: ``DD-API-KEY`` and ``DD-APPLICATION-KEY``."""

    def __init__(self, http: HttpJson) -> None:
        self._http = http

    async def find(self, question: Question) -> Found:
        if question.key == "scores":
            hint = "as `events`, let `bad` count the answers below a score"
            raise failure("metric-query", "Datadog gives no single scores", hint)
        span: dict[str, str | int] = {"from": question.since, "to": question.end, "query": question.query}
        url = endpoint(question.source.url, "/api/v1/query", span)
        return parse(await self._http.ask(question, url), question.shown)


def parse(answer: object, query: str) -> Found:
    """What an answer says: the sum of its points. Raises TrimtabError."""
    try:
        return _parse(answer, query)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError):
        raise malformed(_ANSWERS) from None


def _parse(answer: Any, query: str) -> Found:
    if answer.get("status", "ok") != "ok" or answer.get("error"):
        said = answer.get("error") or answer["status"]
        raise failure("metric-query", f"Datadog says about `{query}`: {said}", "see the query")
    series = answer["series"]
    if len(series) > 1:
        hint = "take `by {...}` away"
        raise failure("metric-query", f"`{query}` gives {len(series)} series instead of one", hint)
    points = {float(at): value for at, value in series[0]["pointlist"] if value is not None} if series else {}
    newest = max(points, default=None)
    return Found(sum(map(number, points.values())), None if newest is None else newest / 1000.0)
