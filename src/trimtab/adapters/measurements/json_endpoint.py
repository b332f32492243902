"""Any URL that answers with JSON. Queries are paths in it.

A path is names with dots between them; a number is a place in a list, from 0. It may begin with ``$.``, which is the
whole answer: ``$.arms.candidate.bad`` and ``results.0.value``. There is nothing else: no filters, no wildcards, no
names with dots in them. Placeholders are filled in in both, percent-encoded in the URL.
"""

from __future__ import annotations

from urllib.parse import quote

from trimtab.adapters.measurements.http_json import HttpJson, parsed
from trimtab.adapters.measurements.question import Found, Question
from trimtab.core.errors import TrimtabError, failure

_NAMES_SHOWN = 5


class JsonEndpoint:
    """Numbers are as of the time of the reading."""

    def __init__(self, http: HttpJson) -> None:
        self._http = http

    async def find(self, question: Question) -> Found:
        url = parsed(question.fill(question.source.url, lambda value: quote(value, safe="")))
        answer = await self._http.ask(question, url)
        written = question.source.queries[question.key]
        return Found(follow(answer, [question.fill(name) for name in written.split(".")]))


def follow(answer: object, path: list[str]) -> object:
    """What is at the end of the path. Raises TrimtabError when it leads nowhere."""
    found, gone = answer, []
    for name in path[1:] if path[0] == "$" else path:
        gone.append(name)
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and len(name) < 10 and int(name) < len(found):
            found = found[int(name)]
        else:
            raise _nowhere(gone, found)
    return found


def _nowhere(gone: list[str], found: object) -> TrimtabError:
    if isinstance(found, dict):
        names = [f"`{str(name)[:40]}`" for name in list(found)[:_NAMES_SHOWN]]
        there = f"there is {', '.join(names)}{', ...' if len(found) > _NAMES_SHOWN else ''}" if names else "it is empty"
    elif isinstance(found, list):
        there = f"it is a list of {len(found)}; write a number for a place in it, from 0"
    else:
        there = "there is nothing below it"
    before = ".".join(gone[:-1]) or "$"
    message = f"the answer has no `{'.'.join(gone)}`"
    return failure("metric-query", message, f"at `{before}` {there}")
