"""CloudWatch: an expression of GetMetricData, whose values since ``$since`` are added up.

It is metric maths, mostly with SEARCH (``SUM(SEARCH('{Shop,Release} MetricName="Refusals" Release="$release"', 'Sum',
60))``), or Metrics Insights (``SELECT SUM(Refusals) FROM Shop WHERE Release = '$release'``), in periods of 60 s.
Without any value the total is 0. Numbers are as of the newest value. Single scores are not to be had.
"""

from __future__ import annotations

import json
import re
from typing import Any

from trimtab.adapters.measurements.http_json import HttpJson, endpoint, malformed
from trimtab.adapters.measurements.numbers import number
from trimtab.adapters.measurements.question import Found, Question
from trimtab.adapters.measurements.signature import Credentials, sign
from trimtab.core.errors import failure

PERIOD_S = 60
_ANSWERS = "CloudWatch's API"
_REGION = re.compile(r"\bmonitoring(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d+)\.")
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
}


class CloudWatch:
    """The key is in the environment that Trimtab runs in: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and, for a
    key that expires, ``AWS_SESSION_TOKEN``."""

    def __init__(self, http: HttpJson) -> None:
        self._http = http

    async def find(self, question: Question) -> Found:
        if question.key == "scores":
            hint = "as `events`, let `bad` count the answers below a score"
            raise failure("metric-query", "CloudWatch gives no single scores", hint)
        url = endpoint(question.source.url, "/", {})
        content = json.dumps(request(question)).encode()
        credentials = _credentials(question)
        signed = sign(
            "POST", url, _HEADERS, content, credentials, (_region(question, url.host), "monitoring"), question.now
        )
        answer = await self._http.ask(question, url, method="POST", headers=signed, content=content)
        return parse(answer, question.shown)


def request(question: Question) -> dict[str, Any]:
    """The body of a GetMetricData request."""
    query = {"Id": "total", "Expression": question.query, "Period": PERIOD_S, "ReturnData": True}
    return {"StartTime": question.since, "EndTime": question.end, "MetricDataQueries": [query]}


def parse(answer: object, query: str) -> Found:
    """What an answer says: the sum of its values. Raises TrimtabError."""
    try:
        return _parse(answer, query)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError):
        raise malformed(_ANSWERS) from None


def _parse(answer: Any, query: str) -> Found:
    results = answer["MetricDataResults"]
    if len(results) > 1:
        hint = "wrap it in SUM(...)"
        raise failure("metric-query", f"`{query}` gives {len(results)} series instead of one", hint)
    if answer.get("NextToken") or any(result.get("StatusCode", "Complete") != "Complete" for result in results):
        hint = "ask for less: fewer metrics, or longer periods"
        raise failure("metric-query", f"CloudWatch gives only a part of `{query}`", hint)
    values = [value for result in results for value in result["Values"]]
    times = [float(at) for result in results for at in result["Timestamps"]]
    if len(values) != len(times):
        raise malformed(_ANSWERS)
    return Found(sum(map(number, dict(zip(times, values, strict=True)).values())), max(times, default=None))


def _credentials(question: Question) -> Credentials:
    key, secret = (question.variable(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    return Credentials(key, secret, question.variables.get("AWS_SESSION_TOKEN", ""))


def _region(question: Question, host: str) -> str:
    found = _REGION.search(host)
    if found:
        return found.group(1)
    named = (question.variables.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION"))
    region = next((name for name in named if name), None)
    if region is None:
        raise failure("metric-variable", f"the region of {host} is not known", "set AWS_REGION where Trimtab runs")
    return region
