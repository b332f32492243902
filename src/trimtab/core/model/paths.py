"""Which files a list of patterns means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache


def matching(paths: Iterable[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Those of the paths that the patterns mean, in their order.

    ``src`` is that file, or everything below that folder; ``*`` stands for any characters but ``/``, ``**`` for any,
    ``?`` for one. ``!docs`` takes away what patterns before it have given; where the first pattern takes away, it does
    so from all paths. `.` is every path.
    """
    rules = [(pattern.startswith("!"), _expression(pattern.removeprefix("!"))) for pattern in patterns]
    return tuple(path for path in paths if _is_meant(path, rules))


def _is_meant(path: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    for takes_away, expression in reversed(rules):
        if expression.fullmatch(path):
            return not takes_away
    return bool(rules) and rules[0][0]


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    if pattern in (".", "./"):
        return re.compile(r"(?s:.*)")
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./").rstrip("/"))
    means = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    text = "".join(means.get(piece) or re.escape(piece) for piece in pieces)
    return re.compile(rf"(?s:{text}(?:/.*)?)")
