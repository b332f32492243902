"""The configuration while it is made: settings by their way, and comments for whoever reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from trimtab.config.nodes import Path
from trimtab.core.model.identity import is_name

Settings = dict[str, Any]


class Draft:
    """Settings and comments. The order of the first mention is that of the file."""

    def __init__(self) -> None:
        self.settings: Settings = {}
        self.comments: dict[Path, list[str]] = {}

    def put(self, *way: Any) -> None:
        """The last of `way` is the value, the rest leads to it."""
        *path, key, value = way
        group = self.settings
        for part in path:
            group = group.setdefault(part, {})
        group[key] = value

    def get(self, *path: str) -> Any:
        """What was put there, or None."""
        found: Any = self.settings
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def comment(self, path: Path, text: str) -> None:
        """A sentence above the setting; said once only."""
        said = self.comments.setdefault(path, [])
        if text not in said:
            said.append(text)


def tame(text: str, taken: Iterable[str] = ()) -> str:
    """A name as Trimtab wants them, none of `taken`: ``My_Metric`` -> ``my-metric``."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "unnamed"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[:36].strip('-')}-{number}"
    assert is_name(free)
    return free
