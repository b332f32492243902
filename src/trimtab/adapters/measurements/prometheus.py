"""Prometheus, and whatever speaks its HTTP API (Thanos, Mimir, VictoriaMetrics): instant queries.

A query for ``bad`` or ``all`` gives a scalar, or a vector of one series. An empty vector is 0: a counter that has not
counted yet does not exist. That is safe, for 0 events are no evidence, and a counter that is gone again has fallen,
which is a Problem. A query for ``scores`` gives the buckets of a histogram (``sum by (le) (...)``); each answer counts
with the middle of its bucket.
"""

from __future__ import annotations

import math
from typing import Any

from trimtab.adapters.measurements.http_json import HttpJson, endpoint, malformed
from trimtab.adapters.measurements.question import Found, Question
from trimtab.core.errors import failure

_ANSWERS = "Prometheus' API"


class Prometheus:
    """Numbers are as of the time at which Prometheus evaluated the query: that of the reading."""

    def __init__(self, http: HttpJson) -> None:
        self._http = http

    async def find(self, question: Question) -> Found:
        params = {"query": question.query, "time": f"{question.now:.3f}"}
        url = endpoint(question.source.url, "/api/v1/query", params)
        return parse(await self._http.ask(question, url), question.key, question.shown)


def parse(answer: object, key: str, query: str) -> Found:
    """What an answer of ``/api/v1/query`` says. Raises TrimtabError."""
    try:
        kind, result = _result(answer)
        if kind == "scalar" and key != "scores":
            return Found(_sample(result[1]), float(result[0]))
        if kind != "vector" or not isinstance(result, list):
            hint = "give an instant query, without a range"
            raise failure("metric-query", f"`{query}` gives a {kind} instead of a number", hint)
        at = max((float(series["value"][0]) for series in result), default=None)
        if key == "scores":
            return Found(_scores(result, query), at)
        if len(result) > 1:
            raise failure("metric-query", f"`{query}` gives {len(result)} series instead of one", "wrap it in sum()")
        return Found(_sample(result[0]["value"][1]) if result else 0.0, at)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        raise malformed(_ANSWERS) from None


def _result(answer: Any) -> tuple[str, Any]:
    if answer["status"] != "success":
        raise malformed(_ANSWERS)
    return str(answer["data"]["resultType"])[:20], answer["data"]["result"]


def _sample(text: object) -> float:
    if not isinstance(text, str):
        raise malformed(_ANSWERS)
    return float(text)


def _scores(result: list[Any], query: str) -> list[tuple[float, int]]:
    """From cumulative buckets to pairs of a bucket's middle and its count."""
    if any("le" not in series["metric"] for series in result):
        raise failure("metric-query", f"`{query}` gives no histogram", "sum the buckets: sum by (le) (scores_bucket)")
    buckets = sorted((float(series["metric"]["le"]), _sample(series["value"][1])) for series in result)
    if not all(math.isfinite(count) and count >= 0 for _, count in buckets):
        raise failure("metric-number", f"`{query}` gives buckets without a count", "see the histogram")
    pairs: list[tuple[float, int]] = []
    edge, below = 0.0, 0
    for upper, cumulative in buckets:
        count = round(cumulative) - below
        if count < 0 or math.isnan(upper):
            raise failure("metric-number", f"`{query}` gives buckets that do not add up", "use sum by (le)")
        if count:
            pairs.append(_middle(edge, upper, count, query))
        edge, below = max(0.0, upper), below + count
    return pairs


def _middle(lower: float, upper: float, count: int, query: str) -> tuple[float, int]:
    """Scores are at most 1, so the bucket without an edge ends there."""
    if math.isinf(upper) and lower >= 1:
        raise failure("metric-number", f"`{query}` has scores above 1", "a score is a number from 0 to 1")
    return min(upper, (lower + (1.0 if math.isinf(upper) else upper)) / 2), count
