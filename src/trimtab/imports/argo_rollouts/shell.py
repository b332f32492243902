"""Commands of containers as shell commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

_SHELLS = ("sh", "/bin/sh", "bash", "/bin/bash", "ash", "/bin/ash")
_SCRIPT_OPTIONS = re.compile(r"-[a-z]*c")
_EXPANSION = re.compile(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
"""What Kubernetes fills in, where it knows such a variable."""


def command_line(words: Sequence[str], names: Collection[str] = (), port: int | None = None) -> str:
    """The words as one shell command; ``sh -c SCRIPT`` is the script.

    ``$(NAME)`` of one of `names` becomes ``${NAME}``. A word that ends in `port` gets ``$PORT`` in its place.
    """
    if len(words) == 3 and words[0] in _SHELLS and _SCRIPT_OPTIONS.fullmatch(words[1]):
        return _EXPANSION.sub(lambda found: f"${{{found[1]}}}" if found[1] in names else found[0], words[2])
    return " ".join(_word(_with_port(word, port), {*names, "PORT"}) for word in words)


def names_port(words: Sequence[str], port: int) -> bool:
    """Whether `command_line` can put ``$PORT`` in the port's place."""
    return command_line(words) != command_line(words, port=port)


def _with_port(word: str, port: int | None) -> str:
    return word if port is None else re.sub(rf"(^|[=:]){port}$", r"\1$(PORT)", word)


def _word(word: str, names: Collection[str]) -> str:
    """Quoted, but for the variables: they stand outside of the quotes, so that the shell fills them in."""
    text, end = "", 0
    for found in _EXPANSION.finditer(word):
        if found[1] in names:
            at_end = found.end() == len(word)
            text += _quote(word[end : found.start()]) + (f'"${found[1]}"' if not at_end else f"${found[1]}")
            end = found.end()
    return text + _quote(word[end:]) or "''"


def _quote(piece: str) -> str:
    return shlex.quote(piece) if piece else ""
