"""What a source is asked: one query for one arm, with its placeholders and secrets filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from string import Template
from typing import Literal, Protocol
from urllib.parse import quote, unquote, urlsplit

from trimtab.core.errors import Problem, failure
from trimtab.core.model.identity import ArmId, short
from trimtab.core.model.specification import MetricSpec, SourceSpec
from trimtab.ports.measurements import Watch

Role = Literal["candidate", "stable"]
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SHORTEST_SECRET = 4
_SHOWN = 200
_SAID = 400
_ALWAYS_SECRET = {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a source answered: for ``bad`` and ``all`` a number, for ``scores`` a list of scores or of pairs (score,
    count); not checked yet. `at`: when it was true (seconds since the epoch); None: when it was read."""

    value: object
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One query of a metric for one arm."""

    metric: MetricSpec
    key: str
    """``bad``, ``all`` or ``scores``."""
    role: Role
    arm: ArmId
    watch: Watch
    now: float
    """When the reading began (seconds since the epoch): the same for all questions of a reading."""
    variables: Mapping[str, str]
    """The environment that Trimtab runs in."""

    @property
    def source(self) -> SourceSpec:
        return self.metric.source

    @property
    def where(self) -> str:
        """``refusals, bad of the candidate``."""
        return f"{self.metric.name}, {self.key} of the {self.role}"

    @property
    def query(self) -> str:
        """The query with its placeholders filled in as they are."""
        return self.fill(self.source.queries[self.key])

    @property
    def shown(self) -> str:
        """The query, as much of it as fits into a sentence."""
        return shorten(self.query)

    @property
    def since(self) -> int:
        """When the evidence began, in whole seconds since the epoch."""
        return math.floor(self.watch.since)

    @property
    def end(self) -> int:
        """When the reading began, in whole seconds since the epoch; at least a second after `since`."""
        return max(math.ceil(self.now), self.since + 1)

    @property
    def placeholders(self) -> Mapping[str, str | int]:
        """What each placeholder stands for; times in whole seconds."""
        return {
            "release": short(self.arm),
            "arm": self.role,
            "environment": self.watch.environment.name,
            "app": self.watch.environment.app,
            "since": self.since,
            "now": self.end,
            "window": self.end - self.since,
        }

    def fill(self, text: str, encode: Callable[[str], str] = str) -> str:
        """`text` with each placeholder replaced, after `encode`; ``$$`` is a dollar."""
        return Template(text).safe_substitute({name: encode(str(value)) for name, value in self.placeholders.items()})

    def with_variables(self, text: str, encode: Callable[[str], str] = str) -> str:
        """`text` with each ``${NAME}`` replaced by a variable of our environment, after `encode`."""

        return _VARIABLE.sub(lambda found: encode(self.variable(found.group(1))), text)

    def variable(self, name: str) -> str:
        """A variable of our environment. Raises TrimtabError when it is not set."""
        if name not in self.variables:
            hint = f"set {name} in the environment of the controller and start it again"
            raise failure("metric-variable", f"the variable {name} is not set where Trimtab runs", hint)
        return self.variables[name].strip()

    def headers(self) -> dict[str, str]:
        """The source's headers with their variables filled in."""
        filled = {name: self.with_variables(value) for name, value in self.source.headers.items()}
        for name, value in filled.items():
            if not (value.isascii() and value.isprintable()):
                hint = "see the variables that it names"
                raise failure("metric-variable", f"the header {name} has characters that no header can have", hint)
        return filled

    def cleaned(self, problem: Problem) -> Problem:
        """The problem with its place, without anything secret, and no longer than people read."""
        message, hint = (shorten(self.hide(text), _SAID) for text in (problem.message, problem.hint))
        return replace(problem, message=message, hint=hint, where=self.where)

    def hide(self, text: str) -> str:
        """`text` without what is secret: values of headers, variables that are named, the URL's password."""
        source = self.source
        names = {name for value in (source.url, *source.headers.values()) for name in _VARIABLE.findall(value)}
        known = {self.variables.get(name, "").strip() for name in names | _ALWAYS_SECRET} | {_password(source.url)}
        for value in source.headers.values():
            filled = _VARIABLE.sub(lambda found: self.variables.get(found.group(1), "").strip(), value)
            known |= {filled, *filled.split()}
        known |= {unquote(secret) for secret in known} | {quote(secret, safe="") for secret in known}
        for secret in sorted(known, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text


class Source(Protocol):
    """One kind of source."""

    async def find(self, question: Question) -> Found:
        """Answer one question. Raises TrimtabError when there is no answer; takes as long as it takes."""
        ...


def shorten(text: str, most: int = _SHOWN) -> str:
    """In one line, at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
