"""A value of the input, read as what it must be; where it is not, the problem says the place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trimtab.config.nodes import EMPTY, ListNode, MappingNode, Node, Path, ScalarNode, key_place, plain
from trimtab.config.quantities import clip, describe
from trimtab.core.errors import TrimtabError, failure
from trimtab.imports.argo_rollouts.documents import Document

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PIECE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(h|ms|m|s|us|µs|ns)")
_DURATION = re.compile(rf"(?:{_PIECE.pattern})+")
_TRUE, _FALSE = ("true", "yes", "on", "y"), ("false", "no", "off", "n")
"""Kubernetes reads YAML 1.1, in which these are booleans."""


@dataclass(frozen=True, slots=True)
class Value:
    """What stands at `path` of an object."""

    document: Document
    path: Path
    node: Node

    @property
    def where(self) -> str:
        """``file:line:column`` of its key, or of itself in a list."""
        return self.document.where(key_place(self.document.root, self.path))

    @property
    def name(self) -> str:
        """Its key, with the index for what is in a list."""
        names = [part for part in self.path if isinstance(part, str)]
        index = self.path[-1] if self.path and isinstance(self.path[-1], int) else None
        return (names[-1] if names else "it") + (f"[{index}]" if index is not None else "")

    def get(self, *keys: str | int) -> Value | None:
        """What stands below; None when it is not there or left empty. Raises where it can have nothing below."""
        found: Value | None = self
        for key in keys:
            if found is None:
                return None
            found = found._child(key)
        return found

    def _child(self, key: str | int) -> Value | None:
        if isinstance(key, int):
            items = self.items()
            return items[key] if key < len(items) else None
        node = self._mapping().values.get(key)
        return None if node is None or _is_empty(node) else Value(self.document, (*self.path, key), node)

    def fields(self) -> Iterator[tuple[str, Value]]:
        """The entries of a mapping, those that are left empty too."""
        for key, node in self._mapping().values.items():
            yield key, Value(self.document, (*self.path, key), node)

    def items(self) -> list[Value]:
        """The entries of a list."""
        if not isinstance(self.node, ListNode):
            raise self.wrong("a list")
        return [Value(self.document, (*self.path, index), node) for index, node in enumerate(self.node.items)]

    def listed(self, key: str) -> list[Value]:
        """The entries of the list below `key`; none when it is not there."""
        found = self.get(key)
        return found.items() if found is not None else []

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, MappingNode)

    def text(self) -> str:
        """A scalar as it stands in the file."""
        if not isinstance(self.node, ScalarNode) or _is_empty(self.node):
            raise self.wrong("text")
        return self.node.written

    def truth(self) -> bool:
        word = self.text().lower() if isinstance(self.node, ScalarNode) else ""
        if word not in (*_TRUE, *_FALSE):
            raise self.wrong("`true` or `false`")
        return word in _TRUE

    def whole(self, least: int, most: int) -> int:
        """A whole number between the two."""
        value = self.node.value if isinstance(self.node, ScalarNode) else None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong("a whole number")
        if not least <= value <= most:
            message = f"`{self.name}` must be between {least} and {most}, but it is {clip(str(value))}"
            raise failure("import-invalid-value", message, where=self.where)
        return value

    def seconds(self) -> float:
        """A duration: seconds as a number, or ``10s``, ``1h30m``."""
        seconds = parse_seconds(self.text())
        if seconds is None:
            raise self.wrong("a duration, for example `10s`, `5m` or `1h`")
        return seconds

    def plain(self) -> Any:
        """Plain Python values."""
        return plain(self.node)

    def wrong(self, expected: str) -> TrimtabError:
        """The error for a value of another kind."""
        message = f"`{self.name}` must be {expected}, but {describe(plain(self.node))}"
        return failure("import-wrong-type", message, where=self.where)

    def _mapping(self) -> MappingNode:
        if not isinstance(self.node, MappingNode):
            raise self.wrong("a mapping (`name: value` lines)")
        return self.node


def parse_seconds(text: str) -> float | None:
    """Seconds of ``90``, ``10s`` or ``1h30m``, as Go writes durations; None for anything else."""
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PIECE.findall(text))


def whole_document(document: Document) -> Value:
    """The object itself."""
    return Value(document, (), document.root)


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is EMPTY
