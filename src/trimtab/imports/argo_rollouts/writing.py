"""A draft as YAML that people like to read: comments above settings, short mappings in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from trimtab.config.nodes import Path
from trimtab.imports.argo_rollouts.draft import Draft

WIDTH = 110
_INLINE = 90

# What YAML 1.2 takes for text and nothing else, in lists and mappings on one line, too.
_WORD = r"[A-Za-z0-9_./$%=+@(-][A-Za-z0-9_./$%=+@()-]*"
_PLAIN = re.compile(
    rf"(?:https?://[A-Za-z0-9./-]+(?::[0-9]+)?[A-Za-z0-9./-]*|[A-Za-z/$][A-Za-z0-9_./$%=+@-]*)(?: {_WORD})*"
)
_QUANTITY = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:%|ms|s|m|h)(?:[0-9]+(?:ms|s|m|h))*")
_WORDS = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)


def write(draft: Draft) -> str:
    """The whole file."""
    lines = list(_comments(draft, (), ""))
    for key, value in draft.settings.items():
        lines += ["", *_entry(draft, (key,), key, value, 0)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _entry(draft: Draft, path: Path, key: str, value: Any, indent: int) -> Iterator[str]:
    pad = " " * indent
    yield from _comments(draft, path, pad)
    head = f"{pad}{scalar(key)}:"
    if isinstance(value, dict) and value and not _fits(draft, path, value, indent):
        yield head
        for name, child in value.items():
            yield from _entry(draft, (*path, name), name, child, indent + 2)
    elif isinstance(value, list) and value and not _fits(draft, path, value, indent):
        yield head
        for index, item in enumerate(value):
            yield from _item(draft, (*path, index), item, indent + 2)
    elif isinstance(value, str) and (block := _block(value)):
        yield f"{head} {block}"
        yield from (f"{pad}  {line}" if line else "" for line in value.rstrip("\n").split("\n"))
    else:
        yield f"{head} {_flow(value)}"


def _item(draft: Draft, path: Path, item: Any, indent: int) -> Iterator[str]:
    pad = " " * indent
    yield from _comments(draft, path, pad)
    if not isinstance(item, dict) or not item or _fits(draft, path, item, indent):
        yield f"{pad}- {_flow(item)}"
        return
    lines = [line for name, child in item.items() for line in _entry(draft, (*path, name), name, child, indent + 2)]
    yield f"{pad}- {lines[0].lstrip()}"
    yield from lines[1:]


def _comments(draft: Draft, path: Path, pad: str) -> Iterator[str]:
    for text in draft.comments.get(path, []):
        # Names of the input stand in comments, too: nothing of them may end the line.
        shown = "".join(character if character.isprintable() else "?" for character in text)
        yield from (f"{pad}# {line}" for line in wrap(shown, WIDTH - len(pad), break_on_hyphens=False))


def _fits(draft: Draft, path: Path, value: Any, indent: int) -> bool:
    """Whether it may stand on one line: a step, a list of words, a gate; nothing that has a comment inside."""
    if len(path) < 3 or any(len(other) > len(path) and other[: len(path)] == path for other in draft.comments):
        return False
    if isinstance(value, dict) and path[-1] in ("canary", "blue-green", "rolling", "metrics", "events", "env", "steps"):
        return False
    if isinstance(value, dict) and any(isinstance(child, dict) and len(child) > 2 for child in value.values()):
        return False
    if isinstance(value, list) and path[-1] == "steps":
        return False
    return "\\n" not in (line := _flow(value)) and indent + len(line) <= _INLINE


def _block(text: str) -> str:
    """The mark of a block of lines, or nothing where the text has to stand in quotes."""
    lines = text.split("\n")
    ending = len(text) - len(text.rstrip("\n"))
    simple = all(line.isprintable() and line == line.rstrip() for line in lines)
    if len(lines) < 2 or not simple or ending > 1 or not lines[0] or lines[0][0] in " #":
        return ""
    return "|" if ending else "|-"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """A text, number or boolean so that YAML 1.2 reads exactly this."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:.9g}" if isinstance(value, float) else str(value)
    text = str(value)
    if '"' in text and "'" not in text and text.isprintable() and "\\" not in text:
        return f"'{text}'"
    plain = (_PLAIN.fullmatch(text) or _QUANTITY.fullmatch(text)) and not _WORDS.fullmatch(text)
    return text if plain else f'"{"".join(map(_quoted, text))}"'


def _quoted(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character == "\n":
        return "\\n"
    if character.isprintable() and character != "\ufeff":
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
