"""Nodes to a validated file, or what is wrong with them, in plain words and at the right place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trimtab.config.flaws import Flaw
from trimtab.config.known import example, known_keys, show_bound, unknown_hint
from trimtab.config.nodes import Empty, MappingNode, Path, find, key_place, plain
from trimtab.config.quantities import clip, describe
from trimtab.config.setting import Settings

Group = TypeVar("Group", bound=Settings)

_EXPECTED_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "dict_type": "a mapping (`name: value` lines)",
    "model_type": "a mapping (`name: value` lines)",
}

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def validate(root: MappingNode, model: type[Group]) -> tuple[Group | None, tuple[Flaw, ...]]:
    """The file, or a group of settings, as its model; or None and every flaw that stands for itself (see `checks` for
    those between settings)."""
    try:
        return model.model_validate(plain(root)), ()
    except ValidationError as error:
        errors = error.errors(include_url=False)
    unknown = [details["loc"] for details in errors if details["type"] == "extra_forbidden"]
    misspelt = {(*path[:-1], _closest(str(path[-1]), known_keys(model, path[:-1]))) for path in unknown}
    # A misspelt setting that must be there is one problem, not an unknown one and a missing one.
    told = [details for details in errors if details["type"] != "missing" or details["loc"] not in misspelt]
    return None, tuple(_flaw(model, root, details) for details in told)


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean `service`?`` or what there is to choose from."""
    known = list(known)
    if close := _closest(word, known):
        return f"did you mean `{close}`?"
    return "known here: " + ", ".join(f"`{name}`" for name in known) if known else ""


def _closest(word: str, known: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(word.lower(), known, n=1)), None)


def setting_name(path: Path) -> str:
    """``service.replicas``, ``steps[0].weight``."""
    empty = '""'
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part or empty}" for part in path)
    return clip(name.removeprefix("."))


def _flaw(model: type[Settings], root: MappingNode, details: ErrorDetails) -> Flaw:
    path, kind = details["loc"], details["type"]
    if kind == "missing":
        name, line = setting_name(path), example(model, path)
        place = key_place(root, path[:-1])
        return Flaw(place, "config-missing-setting", f"`{name}` is missing", f"for example `{line}`" if line else "")
    if kind == "extra_forbidden":
        hint = unknown_hint(model, path[:-1]) or nearest(str(path[-1]), known_keys(model, path[:-1]))
        return Flaw(
            key_place(root, path), "config-unknown-setting", f"`{setting_name(path)}` is not a known setting", hint
        )
    if path and path[-1] == "[key]":
        path, found = path[:-1], find(root, path[:-1])
        place = found.key
    else:
        found = find(root, path)
        # What is left empty stands nowhere: the parser puts it at the beginning of whatever comes next.
        place = found.key if isinstance(details["input"], Empty) else found.node.place
    code, message, hint = _judgement(model, path, details, found.written)
    return Flaw(place, code, f"`{setting_name(path)}` {message}", hint)


def _judgement(model: type[Settings], path: Path, details: ErrorDetails, written: str) -> tuple[str, str, str]:
    """Code, message (the setting's name goes before it) and hint."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    line = example(model, path)
    hint = f"for example `{line}`" if line else ""
    if isinstance(value, Empty):
        return "config-empty-setting", "is left empty", context.get("hint") or "give it a value, or remove the line"
    if kind.startswith("config-"):
        return kind, context["message"], context["hint"]
    if expected := _EXPECTED_TYPES.get(kind):
        if kind == "string_type" and isinstance(value, (int, float)):
            hint = "put it in quotes if it is meant to be text"
        return "config-wrong-type", f"must be {expected}, but {describe(value)}", hint
    if kind == "literal_error":
        message, hint = _choice(context["expected"], value)
        return "config-invalid-value", message, hint
    return "config-invalid-value", f"must {_limit(model, path, kind, context, written)}", hint


def _choice(expected: str, value: Any) -> tuple[str, str]:
    choices = re.findall(r"'([^']*)'", expected)
    close = _closest(str(value), choices)
    listed = ", ".join(f"`{choice}`" for choice in choices)
    return f"must be one of {listed}, but {describe(value)}", f"did you mean `{close}`?" if close else ""


def _limit(model: type[Settings], path: Path, kind: str, context: Mapping[str, Any], written: str) -> str:
    """What a value that is too much, too little or too odd must be instead."""
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"be {words} {show_bound(model, path, context[name])}, but it is `{clip(written)}`"
    if kind == "too_short":
        least = context["min_length"]
        return f"have at least {least} entries" if least > 1 else "not be empty"
    if kind == "too_long":
        return f"have at most {context['max_length']} entries"
    if kind == "string_too_long":
        return f"have at most {context['max_length']} characters"
    assert kind == "string_pattern_mismatch", f"the models know no other kind of error than {kind}"
    return "have letters, digits and hyphens only"
