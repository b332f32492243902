"""Nested data as one value for each path."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Flat = Mapping[str, str]
"""Path (``environments.production.port``) to the value as JSON."""


def flat(value: Any) -> Flat:
    """Every value by its path. What has a name in a list is found by it, wherever it stands; lists of plain values are
    one value."""
    if isinstance(value, Mapping) and not value:
        return {}
    return dict(_flat(value, ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _flat(child, f"{path}.{_key(str(key))}".removeprefix("."))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value):
        names = [item.get("name") if isinstance(item, Mapping) else None for item in value]
        named = all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}.{_key(str(names[index]))}" if named else f"{path}[{index}]")
    else:
        yield path, json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _key(key: str) -> str:
    """Keys that could be taken for a path stand in quotes."""
    return key if key and not set(key) & set('.[]" ') else json.dumps(key, ensure_ascii=False)
