"""A YAML file as a tree that remembers where everything stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
"""The way from the root to a value: keys of mappings and indices of lists."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; line and column count from 1."""

    line: int
    column: int
    file: str = ""
    """The template's; empty: the file that is being loaded."""


class Empty:
    """What a key without a value has: not `None`, because left empty is something else than left out."""


EMPTY = Empty()


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """Text, a number, a boolean or `EMPTY`; `written` is how it stands in the file, without quotes."""

    place: Place
    value: str | int | float | bool | Empty
    written: str
    size: int = 1


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list. `size` counts all nodes in it and itself, aliases written out."""

    place: Place
    items: tuple[Node, ...]
    size: int


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping; `keys` are the places of its keys. `size` as for a list."""

    place: Place
    values: Mapping[str, Node]
    keys: Mapping[str, Place]
    size: int


Node = ScalarNode | ListNode | MappingNode


class Table(dict[str, Any]):
    """A mapping in plain Python values, which also knows how its scalars are written in the file."""

    def __init__(self, values: Mapping[str, Any], written: Mapping[str, str]) -> None:
        super().__init__(values)
        self.written = written


def plain(node: Node) -> Any:
    """The node as `Table`, list, str, int, float, bool and `EMPTY`."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain(item) for item in node.items]
        case MappingNode():
            written = {
                key: child.written
                for key, child in node.values.items()
                if isinstance(child, ScalarNode) and child.value is not EMPTY
            }
            return Table({key: plain(child) for key, child in node.values.items()}, written)


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a path, or at the last part of the way that exists: the long form of a short one has no node."""

    node: Node
    key: Place
    """Its key; its own place where it has none."""

    @property
    def written(self) -> str:
        """A scalar as it stands in the file; empty for anything else."""
        return self.node.written if isinstance(self.node, ScalarNode) else ""


def find(root: Node, path: Path) -> Found:
    """What stands at `path`."""
    node, key = root, root.place
    for part in path:
        if isinstance(node, MappingNode) and isinstance(part, str) and part in node.values:
            key, node = node.keys[part], node.values[part]
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            key = node.place
        else:
            break
    return Found(node, key)


def value_place(root: Node, path: Path) -> Place:
    """Where the value at `path` stands."""
    return find(root, path).node.place


def key_place(root: Node, path: Path) -> Place:
    """Where the key of the value at `path` stands."""
    return find(root, path).key
