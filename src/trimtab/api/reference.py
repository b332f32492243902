"""Writes the reference page of the HTTP API from its OpenAPI document:

python -m trimtab.api.reference > docs/reference/api.md
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from trimtab.api import commands, forges, reruns, secrets
from trimtab.api.server import DOCUMENTED
from trimtab.core import errors
from trimtab.core.model import facts, forge, release, specification
from trimtab.views import model, release_diff

_BEGINNING = """\
# The HTTP API

<!-- Written by `python -m trimtab.api.reference`; a test fails when it is not current. -->

Everything that `trimtab` shows and does goes through this API. Its OpenAPI document is at `/api/v1/openapi.json`, and
`/docs` shows it in a browser. `/git/APP.git` is [Git over HTTP](../guides/git-remote.md).

## Authentication

Every request carries the token of the installation, which is in the file `token` of Trimtab's folder: as a bearer
token, or as the password of basic authentication (so that Git and browsers can ask for it). `GET /healthz` needs none;
it answers `{"status": "ok", "version": "..."}`. A [webhook](../guides/forges.md) is authenticated by its signature.

```sh
curl -H "Authorization: Bearer $(cat .trimtab/token)" http://127.0.0.1:7070/api/v1/status
```

The header `X-Trimtab-Actor` (percent-encoded) says in whose name a command is given. It is recorded, not checked:
whoever has the token may give any name.

## Answers

Answers are JSON. Times are seconds since 1970 (UTC), durations seconds, shares per cent. A command is answered with 202
as soon as it is recorded; what follows from it is told by the history and the events.

Errors are [problem details](https://www.rfc-editor.org/rfc/rfc9457) (`application/problem+json`). `title` says what is
wrong, `detail` what to do next, and `problems` lists all of them with their codes:

```json
{
  "type": "urn:trimtab:problem:conflict",
  "title": "no rollout is under way in shop/production",
  "detail": "`trimtab rollback` returns to an earlier release; a push starts a new rollout",
  "problems": [
    {"code": "conflict", "message": "no rollout is under way in shop/production", "hint": "...", "where": ""}
  ],
  "status": 409
}
```

400: the message cannot be read. 401: the token or the signature is missing or wrong. 404: there is no such thing.
409: not possible now. 413: the message is too large. 422: the request is wrong. 503: the store cannot be used now;
nothing was done.

## Events

`GET /api/v1/events` is a stream of server-sent events: one for each fact, as it is recorded. `id` is the fact's number,
`data` a [HistoryEntry](#historyentry) in one line. To go on after a lost connection, ask with `?after=` and the last
number; nothing is missed. A comment line comes at least every 15 seconds.

```
id: 151
event: fact
data: {"seq":151,"at":1795401844.6,"object":"env/shop/production","kind":"LiveChanged","summary":"...", ...}
```
"""
_TITLES = {"read": "Reading", "steer": "Steering"}
_NOUNS = (model, release_diff, errors, facts, forge, release, specification, commands, forges, reruns, secrets)
"""Where the classes of the objects are; the meaning of a field is its docstring there."""
_ASKED = (commands.__name__, forges.__name__, reruns.__name__, secrets.__name__)
"""Where the bodies of requests are: there, a default is what may be left out."""


def page() -> str:
    """The whole page, as Markdown."""
    api = FastAPI()
    for routes in DOCUMENTED:
        api.include_router(routes)
    document = api.openapi()
    return "\n".join([_BEGINNING, *_endpoints(document["paths"]), *_objects(document["components"]["schemas"])])


def _endpoints(paths: Mapping[str, Any]) -> Iterator[str]:
    section = ""
    for path, methods in paths.items():
        for method, operation in methods.items():
            if (title := _TITLES[operation["tags"][0]]) != section:
                section = title
                yield f"## {title}\n"
            yield f"### {method.upper()} {path}\n"
            yield " ".join(operation["description"].split()) + "\n"
            yield from _parameters(operation.get("parameters", ()))
            if body := operation.get("requestBody"):
                yield f"Body: {_type(_json(body))}.\n"
            yield f"Answer: {_answer(operation['responses'])}.\n"


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    rows = [
        f"| `{one['name']}` | {_type(one['schema'])} | {_default(one['schema'])} |"
        for one in parameters
        if one["in"] == "query"
    ]
    if rows:
        yield "| parameter | type | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _answer(responses: Mapping[str, Any]) -> str:
    status, response = next(item for item in responses.items() if item[0].startswith("2"))
    schema = _json(response)
    return f"{status}, {_type(schema) if schema else 'a stream of text'}"


def _json(content: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = content["content"]["application/json"]["schema"]
    return schema


def _objects(schemas: Mapping[str, Any]) -> Iterator[str]:
    yield "## Objects\n"
    for name, schema in schemas.items():
        noun = next((getattr(module, name) for module in _NOUNS if hasattr(module, name)), None)
        if noun is None:  # FastAPI's own answer to a wrong request, which problem details replace
            continue
        about, meanings = _docstrings(noun)
        yield f"### {name}\n"
        if about:
            yield f"{about}\n"
        for field, kind in schema["properties"].items():
            left_out = f" [{_default(kind)}]" if noun.__module__ in _ASKED and "default" in kind else ""
            meaning = f". {meanings[field]}" if field in meanings else ""
            yield f"- `{field}`: {_type(kind)}{left_out}{meaning}"
        yield ""


def _docstrings(noun: type) -> tuple[str, dict[str, str]]:
    """What a class says of itself and, in the strings right after them, of its fields; in one line each."""
    parsed = ast.parse(textwrap.dedent(inspect.getsource(noun))).body[0]
    assert isinstance(parsed, ast.ClassDef)
    found = {}
    for field, after in zip(parsed.body, parsed.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            found[field.target.id] = " ".join(ast.literal_eval(after.value).split())
    return " ".join((ast.get_docstring(parsed) or "").split()), found


def _type(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if either := schema.get("anyOf"):
        return " or ".join(map(_type, either))
    if schema["type"] == "array":
        if "prefixItems" in schema:
            return f"list of {' and '.join(_type(item) for item in schema['prefixItems'])}"
        return f"list of {_type(schema['items'])}"
    if schema["type"] == "object":
        return f"names, each with {_type(schema['additionalProperties'])}"
    limits = [f"{word} {schema[key]:g}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([{"string": "text", "integer": "whole number"}.get(schema["type"], schema["type"]), *limits])


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "none" if default in (None, "") else f"`{str(default).lower()}`"


if __name__ == "__main__":
    sys.stdout.write(page())
