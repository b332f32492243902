"""What became of every field of the input: exactly one line covers each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from trimtab.config.nodes import EMPTY, ListNode, MappingNode, Node, Path, ScalarNode, key_place, plain
from trimtab.imports.argo_rollouts.documents import Document
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.vocabulary import FIELDS

Outcome = Literal["mapped", "changed", "none"]
"""``mapped``: means the same. ``changed``: the note says what differs. ``none``: the note says what to do instead."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field, or a group of fields with one fate. `place`: ``file:line:column``; `object`: ``Rollout/shop``; `path`:
    ``spec.replicas``, ``.`` for a whole object; `to`: the setting it became, empty when there is none."""

    place: str
    object: str
    path: str
    outcome: Outcome
    to: str
    note: str


@dataclass(frozen=True, slots=True)
class _Line:
    outcome: Outcome
    to: str
    note: str


class Report:
    """Collects lines. What is said first about a field counts, and a line about a group covers all that is in it."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, Path], _Line] = {}

    def mapped(self, value: Value | None, to: str, note: str = "") -> None:
        """The field means the same here. Nothing is said about a field that is not there."""
        self.say(value, "mapped", to, note)

    def changed(self, value: Value | None, to: str, note: str) -> None:
        """The field became something else: `note` says what differs."""
        self.say(value, "changed", to, note)

    def none(self, value: Value | None, note: str) -> None:
        """The field has no counterpart: `note` says why, or what to do instead."""
        self.say(value, "none", "", note)

    def unknown(self, value: Value) -> None:
        """Nothing is known of the field, and of all that is in it."""
        self.none(value, _unknown(value.path, value.node))

    def say(self, value: Value | None, outcome: Outcome, to: str, note: str) -> None:
        if value is not None:
            self._lines.setdefault((value.document.number, value.path), _Line(outcome, to, note))

    def knows(self, document: Document) -> bool:
        """Whether anything was said of the object."""
        return any(number == document.number for number, _ in self._lines)

    def fields(self, documents: Sequence[Document]) -> tuple[Field, ...]:
        """All lines in the order of the input; fields that nothing was said about are listed as unknown."""
        return tuple(field for document in documents for field in self._of(document))

    def _of(self, document: Document) -> Iterator[Field]:
        covered: dict[Path, tuple[tuple[int, int], _Line]] = {}
        for leaf, node in leaves(document.root):
            path, line = self._about(document, leaf, node)
            place = key_place(document.root, path)
            covered.setdefault(path, ((place.line, place.column), line))
        for path, (_, line) in sorted(covered.items(), key=lambda item: item[1][0]):
            where = document.where(key_place(document.root, path))
            shown = path_text((*document.way, *path))
            yield Field(where, document.title, shown, line.outcome, line.to, line.note)

    def _about(self, document: Document, leaf: Path, node: Node) -> tuple[Path, _Line]:
        for end in range(len(leaf) + 1):
            if line := self._lines.get((document.number, leaf[:end])):
                return leaf[:end], line
        return leaf, _Line("none", "", _unknown(leaf, node))


def leaves(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Everything that holds nothing else: scalars, and lists and mappings without entries."""
    match node:
        case ListNode(items=items) if items:
            for index, item in enumerate(items):
                yield from leaves(item, (*path, index))
        case MappingNode(values=values) if values:
            for key, child in values.items():
                yield from leaves(child, (*path, key))
        case _:
            yield path, node


def path_text(path: Path) -> str:
    """``spec.strategy.canary.steps[2].pause``; a key that would read like a way is in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f'."{part}"' if not part or set(part) & set('."[] ') else f".{part}"
    return text.removeprefix(".") or "."


def _unknown(path: Path, node: Node) -> str:
    if isinstance(node, ScalarNode) and node.value is EMPTY:
        return "it is left empty"
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    if name in FIELDS and not isinstance(node, ScalarNode) and not list(plain(node)):
        return "it is empty"
    near = [] if name in FIELDS else get_close_matches(name, FIELDS, n=1, cutoff=0.75)
    guess = f" (did you mean `{near[0]}`?)" if near else ""
    return f"not known here: a typing error, or newer than this import{guess}"
