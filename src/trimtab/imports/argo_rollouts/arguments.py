"""Arguments of analysis templates: what `{{args.NAME}}` becomes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trimtab.imports.argo_rollouts.values import Value, parse_seconds
from trimtab.imports.argo_rollouts.work import Work, shown_text

_HOLE = re.compile(r"\{\{\s*args\.([^\s{}]+?)\s*\}\}")
_NAMES_RELEASE = re.compile(
    r"(?:^|[-_.])(?:service|svc|hash|canary|stable|pod|version|revision|subset)(?:[-_.]|$)", re.IGNORECASE
)
_RELEASE = "queries are asked once for each release: `$release` is the one that is asked about"


@dataclass(frozen=True, slots=True)
class Argument:
    """``text``: as it is. ``release``: tells the releases apart. ``secret``: read from Trimtab's environment, where
    the variable is called `text`. ``unknown``: only the cluster knows it."""

    kind: Literal["text", "release", "secret", "unknown"]
    text: str = ""


Arguments = Mapping[str, Argument]


def read_arguments(work: Work, given: Sequence[Value], services: Collection[str]) -> dict[str, Argument]:
    """Arguments by their names, each field said. `services`: the names of the Rollout's services."""
    found: dict[str, Argument] = {}
    # Where a hash tells the releases apart, names of services are what they say.
    by_hash = any(each.get("valueFrom", "podTemplateHashValue") is not None for each in given)
    for each in given:
        name = each.get("name")
        if name is None:
            continue
        found[name.text()] = _read(work, name.text(), each, services, by_hash)
        given_later = each.get("value") is None and each.get("valueFrom") is None
        work.report.mapped(
            name, _shown(found[name.text()]), "whatever names the template gives it" if given_later else ""
        )
    return found


def _read(work: Work, name: str, said: Value, services: Collection[str], by_hash: bool) -> Argument:
    value, source = said.get("value"), said.get("valueFrom")
    if value is not None:
        text = value.text()
        of_a_release = (_NAMES_RELEASE.search(name) and not by_hash) or "podTemplateHash" in text
        if of_a_release or re.split(r"[.:/]", text)[0] in services:
            note = f"{_RELEASE}; check the label that it is compared with"
            work.report.changed(value, "$release", note)
            return Argument("release", text)
        work.report.mapped(value, shown_text(text, 40))
        return Argument("text", text)
    if source is None:
        return Argument("unknown")
    if (of_pods := source.get("podTemplateHashValue")) is not None:
        work.report.changed(of_pods, "$release", f"{_RELEASE}; check the label that it is compared with")
        return Argument("release")
    if (field := source.get("fieldRef", "fieldPath")) is not None:
        return _field(work, field)
    secret = source.get("secretKeyRef")
    if secret is not None:
        variable = re.sub(r"\W+", "_", name.upper()).strip("_") or "SECRET"
        variable = f"_{variable}" if variable[0].isdigit() else variable
        work.report.changed(
            secret, f"${{{variable}}}", "a variable of the environment that Trimtab runs in; set it there"
        )
        return Argument("secret", variable)
    return Argument("unknown")


def _field(work: Work, said: Value) -> Argument:
    """A field of the Rollout: its name and its labels are known here."""
    found = re.fullmatch(r"metadata\.(?:(name|namespace)|labels\['([^']+)'\])", said.text())
    way = ("metadata", found[1]) if found and found[1] else ("metadata", "labels", found[2]) if found else ()
    value = work.rollout.get(*way) if way else None
    if value is None or value.is_mapping:
        work.report.none(said, "only the cluster knows it: write its value")
        return Argument("unknown")
    work.report.mapped(said, shown_text(value.text(), 40))
    return Argument("text", value.text())


def _shown(argument: Argument) -> str:
    return {"release": "$release", "secret": f"${{{argument.text}}}", "unknown": ""}.get(argument.kind, "its value")


class Missing(Exception):
    """A hole that cannot be filled; the message says which."""


def fill_query(text: str, arguments: Arguments) -> str:
    """A query with its holes filled; dollars of its own are doubled. Raises `Missing`."""
    return _fill(text.replace("$", "$$"), arguments, {"release": "$release"})


def fill_text(text: str, arguments: Arguments) -> str:
    """A URL or a command, which is the same for both releases. Raises `Missing`."""
    return _fill(text, arguments, {})


def fill_header(text: str, arguments: Arguments) -> str:
    """A header's value: secrets become variables. Raises `Missing`."""
    return _fill(text, arguments, {"secret": None})


def fill_seconds(said: Value, arguments: Arguments) -> float | None:
    """A duration, which may be an argument; None when that is not known here."""
    if "{{" not in said.text():
        return said.seconds()
    try:
        return parse_seconds(fill_text(said.text(), arguments))
    except Missing:
        return None


def _fill(text: str, arguments: Arguments, special: Mapping[str, str | None]) -> str:
    def filled(hole: re.Match[str]) -> str:
        argument = arguments.get(hole[1], Argument("unknown"))
        if argument.kind in special:
            return special[argument.kind] or f"${{{argument.text}}}"
        if argument.kind in ("text", "release") and argument.text:
            return argument.text.replace("$", "$$") if "release" in special else argument.text
        raise Missing(f"nothing here says what `{{{{args.{hole[1]}}}}}` is")

    made = _HOLE.sub(filled, text)
    if "{{" in made:
        raise Missing("it has `{{...}}`, which only Argo Rollouts fills in")
    return made
