"""A few requests to the service of the release to be, and what must be in the answers."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import httpx

from trimtab.core.errors import failure
from trimtab.core.model.report import Finding
from trimtab.core.say import count
from trimtab.gates.candidate import service_of, started
from trimtab.gates.running import Outcome, parser, run

_KNOWN = ("path", "method", "status", "contains", "json", "body", "headers")
_PIECE = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_NOTHING = object()


def main(argv: Sequence[str]) -> int:
    words = parser("smoke", "Start the service, ask it a few things, and see whether the answers are as they must be.")
    words.add_argument(
        "--requests",
        required=True,
        metavar="JSON",
        help='[{"path": "/", "status": 200, "contains": "hello", "json": {"items[0].name": "shoe"}}, ...]',
    )
    words.add_argument("--command", help="what starts the service; left out: as trimtab.yaml says")
    words.add_argument("--health", metavar="PATH", help="it is ready when this path answers")
    words.add_argument("--url", help="a service that runs already; none is started")
    words.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="for each answer (default 10)")
    words.add_argument("--junit", type=Path, metavar="FILE", help="write each request as a test case")
    return run(words, smoke, argv)


@dataclass(frozen=True, slots=True)
class Check:
    """A request, and what its answer must have."""

    path: str
    method: str = "GET"
    status: int = 200
    contains: tuple[str, ...] = ()
    json: Mapping[str, Any] = field(default_factory=dict)
    """What must stand at which place: `{"items[0].name": "shoe"}`."""
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answered:
    check: Check
    wrong: str
    """Empty: all is as it must be."""
    took_s: float


def smoke(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-input`, `gate-candidate`."""
    checks = checks_of(asked.requests)
    if asked.url:
        answered = _ask_all(asked.url, checks, asked.timeout)
    else:
        with started(service_of(asked.command, asked.health)) as url:
            answered = _ask_all(url, checks, asked.timeout)
    if asked.junit is not None:
        asked.junit.write_text(_junit(answered))
    findings = tuple(
        Finding("smoke", "error", "", f"{each.check.name}: {each.wrong}") for each in answered if each.wrong
    )
    said = f"{len(findings)} of {count(len(checks), 'request')} were answered wrongly"
    return Outcome(said if findings else f"{count(len(checks), 'request')} answered as they must be", findings)


def checks_of(text: str) -> tuple[Check, ...]:
    """The requests as they are written. Raises `TrimtabError` (`gate-input`)."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise failure("gate-input", f"the requests are no JSON: {error}", "write a list of mappings") from None
    if not isinstance(found, list) or not found:
        raise failure("gate-input", "there is no request to send", "write a list: `[{path: /}]`")
    return tuple(_check(each, number) for number, each in enumerate(found, 1))


def _check(said: Any, number: int) -> Check:
    said = {"path": said} if isinstance(said, str) else said
    if not isinstance(said, dict) or not isinstance(said.get("path"), str) or not said["path"].startswith("/"):
        raise failure("gate-input", f"request {number} has no path", "write `path: /healthz`")
    if unknown := [name for name in said if name not in _KNOWN]:
        known = ", ".join(f"`{name}`" for name in _KNOWN)
        raise failure("gate-input", f"request {number} has `{unknown[0]}`, which means nothing", f"known here: {known}")
    contains = said.get("contains", [])
    body = said.get("body")
    return Check(
        path=said["path"],
        method=str(said.get("method", "GET")).upper(),
        status=int(said.get("status", 200)),
        contains=tuple([contains] if isinstance(contains, str) else contains),
        json=dict(said.get("json", {})),
        body=body if body is None or isinstance(body, str) else json.dumps(body),
        headers={str(name): str(value) for name, value in said.get("headers", {}).items()},
    )


def _ask_all(url: str, checks: Sequence[Check], timeout_s: float) -> list[Answered]:
    with httpx.Client(base_url=url, timeout=timeout_s, trust_env=False) as client:
        return [_ask(client, check) for check in checks]


def _ask(client: httpx.Client, check: Check) -> Answered:
    began = time.monotonic()
    try:
        answer = client.request(check.method, check.path, content=check.body, headers=dict(check.headers))
        wrong = "; ".join(_wrong(check, answer))
    except httpx.HTTPError as error:
        wrong = f"there is no answer ({type(error).__name__})"
    return Answered(check, wrong, time.monotonic() - began)


def _wrong(check: Check, answer: httpx.Response) -> Iterator[str]:
    if answer.status_code != check.status:
        yield f"status {answer.status_code}, and must be {check.status}"
    yield from (f"`{text}` is not in the answer" for text in check.contains if text not in answer.text)
    if not check.json:
        return
    try:
        document = answer.json()
    except ValueError:
        yield "the answer is no JSON"
        return
    for place, wanted in check.json.items():
        found = at(document, place)
        if found is _NOTHING:
            yield f"there is no `{place}` in the answer"
        elif found != wanted:
            yield f"`{place}` is {json.dumps(found)[:80]}, and must be {json.dumps(wanted)[:80]}"


def at(document: Any, place: str) -> Any:
    """What stands at ``items[0].name``."""
    pieces = list(_PIECE.finditer(place))
    if "".join(piece[0] for piece in pieces) != place:
        return _NOTHING
    for piece in pieces:
        key, index = piece[1], piece[2]
        if index is not None and isinstance(document, list) and int(index) < len(document):
            document = document[int(index)]
        elif key is not None and isinstance(document, dict) and key in document:
            document = document[key]
        else:
            return _NOTHING
    return document


def _junit(answered: Sequence[Answered]) -> str:
    cases = []
    for each in answered:
        failed = f"<failure message={quoteattr(each.wrong)}/>" if each.wrong else ""
        cases.append(f'<testcase name={quoteattr(each.check.name)} time="{each.took_s:.3f}">{failed}</testcase>')
    return f'<?xml version="1.0" encoding="utf-8"?>\n<testsuite name="smoke">{"".join(cases)}</testsuite>\n'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
