"""Models, as `release.model` names them: messages in, text out.

`provider: openai`: whatever speaks OpenAI's chat API at `url`. `provider: none`: no model at all, see `extract`; it is
also what answers when all others have failed.
"""

import json
import os
import re
import urllib.request
from dataclasses import dataclass

from bot.passages import sentences

OURS = ("timeout_s", "sentences")
"""Parameters that are not passed on to the provider."""
LAST = {"provider": "none", "name": "extraction"}
PASSAGE = re.compile(r"^\[(\d+)\] ?(.*)\n((?:.+\n)+)", re.MULTILINE)
QUESTION = re.compile(r"^Question: (.*)$", re.MULTILINE)
LITTLE = frozenset(
    re.findall("[a-z]+", "a an and are as at be by can do does for from how i if in is it my of on or the to")
)


class ModelError(Exception):
    """Why a model gave no answer."""


@dataclass(frozen=True)
class Reply:
    text: str
    model: str
    """Which model it is from, and which have failed before."""


def ask(model, messages):
    """The first of the model, its fallbacks and extraction that gives a text; at last an empty one."""
    failed = ""
    parameters = model.get("parameters", {})
    for named in (model, *model.get("fallback", ()), LAST):
        choice = {"parameters": parameters, **named}
        name = choice.get("name", "unnamed")
        try:
            text = PROVIDERS[choice["provider"]](choice, messages).strip()
        except ModelError as error:
            failed = failed or f" ({name} failed: {error})"
            continue
        if text or choice["provider"] == "none":
            return Reply(text, name + failed)
        failed = failed or f" ({name} failed: it said nothing)"
    raise AssertionError("extraction does not fail")


def chat(choice, messages):
    """Ask a server that speaks OpenAI's chat API. Raises ModelError."""
    parameters = choice["parameters"]
    asked = {name: value for name, value in parameters.items() if name not in OURS}
    request = urllib.request.Request(
        choice["url"].rstrip("/") + "/chat/completions",
        json.dumps({"model": choice["name"], "messages": messages, **asked}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=parameters.get("timeout_s", 20)) as answer:
            return json.load(answer)["choices"][0]["message"]["content"] or ""
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(" ".join(str(error).split()) or type(error).__name__) from error


def extract(choice, messages):
    """A model without weights. It reads the prompt as others do: the first passage `[1] HEADING` with its text, and the
    question; it says the sentences that share most words with the question, as they stand there, and cites `[1]`."""
    prompt = messages[-1]["content"] + "\n"
    found, question = PASSAGE.search(prompt), QUESTION.search(prompt)
    if found is None or question is None:
        return ""
    number, heading, text = found.groups()
    wanted, said = _words(question[1]), sentences(" ".join(text.split()))
    best = sorted(said, key=lambda each: -len(wanted & _words(each)))[: choice["parameters"].get("sentences", 1)]
    origin = f" ({heading})" if heading else ""
    return f"{' '.join(each for each in said if each in best)}{origin} [{number}]"


def _words(text):
    """Words as far as they tell something, without their endings."""
    return {word[:5] for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in LITTLE}


PROVIDERS = {"openai": chat, "none": extract}
