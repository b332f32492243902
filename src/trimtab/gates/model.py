"""Whether the release's models can be reached, and are those that it names.

A name such as `gpt-x` may mean another model tomorrow. What an OpenAI-compatible server says in `model` and
`system_fingerprint` of an answer is what it means today; `revision` holds the release to it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.report import Finding
from trimtab.core.say import count
from trimtab.gates.running import UNAVAILABLE, Outcome, parser, run

VARIABLE = "TRIMTAB_RELEASE_MODEL"
"""The step's environment variable that has the model of `trimtab.yaml`, as JSON."""
_ASK = {"messages": [{"role": "user", "content": "Say OK."}], "max_tokens": 1, "temperature": 0}
_LATER = (408, 425, 429, 500, 502, 503, 504)
_MOST_SAID = 200


def main(argv: Sequence[str]) -> int:
    words = parser("model", "Ask each model of the release once, and see whether it is the one that is named.")
    words.add_argument("--model", metavar="JSON", help="as `release.model`; left out: as trimtab.yaml says")
    words.add_argument("--url", help="where a model is asked that has no `url` of its own, such as .../v1")
    words.add_argument("--key", metavar="NAME", help="the environment variable that has the API key")
    words.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for each answer (default 60)")
    return run(words, look, argv)


@dataclass(frozen=True, slots=True)
class Named:
    """A model as the release names it. `place`: where."""

    place: str
    name: str
    revision: str
    url: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a server says that it is."""

    model: str
    fingerprint: str


def look(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-input`, `gate-unavailable`."""
    models = tuple(_models(asked.model or os.environ.get(VARIABLE, ""), asked.url))
    key = os.environ.get(asked.key, "") if asked.key else ""
    if asked.key and not key:
        hint = f"name {asked.key} in the step's `secrets`, and set it: `trimtab secrets set {asked.key}`"
        raise failure("gate-input", f"there is no {asked.key}, which has the API key", hint)
    findings, found = [], {}
    with httpx.Client(timeout=asked.timeout, headers={"Authorization": f"Bearer {key}"} if key else {}) as client:
        for model in models:
            known = _ask(client, model)
            if isinstance(known, Known):
                found[model.place] = known.model
            wrong = known if isinstance(known, str) else _wrong(model, known)
            if wrong:
                findings.append(Finding("model", "error", model.place, wrong))
    said = f"{len(findings)} of {count(len(models), 'model')} are not what is named"
    return Outcome(said if findings else f"{count(len(models), 'model')} as named", tuple(findings), {"models": found})


def _models(text: str, url: str | None) -> Iterator[Named]:
    """All that are asked over HTTP. A model in a file is known by its digest already."""
    try:
        model = json.loads(text or "null")
        choices = [model, *model.get("fallback", [])]
        places = ["release.model", *(f"release.model.fallback[{number}]" for number in range(len(choices) - 1))]
        found = [
            Named(place, str(choice.get("name", "")), str(choice.get("revision", "")), choice.get("url") or url or "")
            for place, choice in zip(places, choices, strict=True)
            if not choice.get("file")
        ]
    except (ValueError, AttributeError, TypeError):
        raise failure("gate-input", "the release names no model", "write `release.model` in trimtab.yaml") from None
    if not found:
        raise failure("gate-input", "no model is asked over HTTP", "leave this step out: files are known by digests")
    for each in found:
        if not each.url or not each.name:
            hint = "write `url` (such as https://api.example.com/v1) and `name`, or give the gate a `url`"
            raise failure("gate-input", "it is not known where the model is asked, or by what name", hint, each.place)
        yield each


def _ask(client: httpx.Client, model: Named) -> Known | str:
    """What answered, or why it is not there. Raises `gate-unavailable` for what may pass by itself."""
    url = f"{model.url.rstrip('/')}/chat/completions"
    try:
        answer = client.post(url, json={"model": model.name, **_ASK})
    except httpx.InvalidURL as error:
        raise failure(
            "gate-input", f"{model.url} is no URL: {error}", "write it as https://HOST/v1", model.place
        ) from None
    except httpx.HTTPError as error:
        raise _unavailable(model, str(error) or type(error).__name__) from None
    if answer.status_code in _LATER:
        raise _unavailable(model, f"it answered {answer.status_code}")
    if not answer.is_success:
        return f"{model.name} is refused by {model.url}: {answer.status_code} {_said(answer)}"
    try:
        document = answer.json()
        return Known(str(document["model"]), str(document.get("system_fingerprint") or ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"{model.url} does not answer as OpenAI's API does: it does not say which model it is"


def _wrong(model: Named, known: Known) -> str:
    """Empty: it is the one that is named."""
    if model.revision:
        if model.revision in (known.model, known.fingerprint):
            return ""
        now = " and ".join(each for each in (known.model, known.fingerprint) if each)
        return f"{model.name} has changed under its name: revision {model.revision} is meant, and it is {now} now"
    if known.model == model.name:
        return ""
    return f"{model.name} is a name that may move: it is {known.model} now; write that as `revision`"


def _unavailable(model: Named, why: str) -> TrimtabError:
    hint = "see that the model's server runs and may be reached from here"
    return failure(UNAVAILABLE, f"{model.name} cannot be reached at {model.url}: {why}", hint, model.place)


def _said(answer: httpx.Response) -> str:
    try:
        error: Any = answer.json()["error"]
        text = error["message"] if isinstance(error, Mapping) else error
    except (ValueError, LookupError, TypeError):
        text = answer.text
    return " ".join(str(text).split())[:_MOST_SAID]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
