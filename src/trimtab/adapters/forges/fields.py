"""Picking from JSON that others wrote, and saying which field is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs


class Malformed(Exception):
    """The JSON is not what this forge writes; says what is missing."""


class Fields:
    """A JSON object. Names are paths: ``fields.text("head", "repo", "full_name")``."""

    def __init__(self, value: object, place: str = "the body") -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{place} is no JSON object")
        self._value, self._place = value, place

    def text(self, *path: str) -> str:
        found = self._find(path)
        if not isinstance(found, str):
            raise Malformed(f"`{'.'.join(path)}` is no text")
        return found

    def text_or(self, default: str, *path: str) -> str:
        """The text, or `default` where there is none."""
        found = self._find(path)
        return found if isinstance(found, str) else default

    def number(self, *path: str) -> int:
        found = self._find(path)
        if not isinstance(found, int) or isinstance(found, bool):
            raise Malformed(f"`{'.'.join(path)}` is no whole number")
        return found

    def number_or(self, default: int, *path: str) -> int:
        found = self._find(path)
        return found if isinstance(found, int) else default

    def has(self, *path: str) -> bool:
        """Whether there is something, and not null or false."""
        return bool(self._find(path))

    def part(self, *path: str) -> Fields:
        return Fields(self._find(path), f"`{'.'.join(path)}`")

    def parts(self, *path: str) -> Iterator[Fields]:
        """The objects of a list."""
        return objects(self._find(path), f"`{'.'.join(path)}`")

    def _find(self, path: tuple[str, ...]) -> object:
        found: object = self._value
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found


def objects(value: object, place: str = "the body") -> Iterator[Fields]:
    """The objects of a JSON list."""
    if not isinstance(value, list):
        raise Malformed(f"{place} is no JSON list")
    for item in value:
        yield Fields(item, f"an item of {place}")


def body_of(content_type: str, body: bytes) -> Fields:
    """The JSON object of a message, which some forges send as the field of a form."""
    try:
        if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            body = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)["payload"][0].encode()
        return Fields(json.loads(body))
    except (ValueError, KeyError, RecursionError):
        raise Malformed("the body is not JSON") from None
