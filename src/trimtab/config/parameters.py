"""Parameters of a template put in their places.

`${{ NAME }}` stands for a parameter, and for nothing else: there are no expressions. As a whole value it is the
parameter as it was given. In a longer text it is the parameter's text. In a command it is one word for the shell,
whatever is in it, and a list is one word for each of its entries: what somebody gives as data never becomes code.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trimtab.config.flaws import Flaw
from trimtab.config.nodes import EMPTY, ListNode, MappingNode, Node, Path, ScalarNode, plain
from trimtab.config.syntax import MAX_BYTES

_PLACEHOLDER = re.compile(r"\$\{\{\s*([^\s{}]*)\s*\}\}")
_OPENING = "${{"
_QUOTES = ("'", '"')


@dataclass
class Filling:
    """Puts `values` into a step. `flaws`: what stood in the way; `used`: which of them had a place."""

    values: Mapping[str, Node]
    flaws: list[Flaw] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def fill(self, node: Node, path: Path = ()) -> Node:
        """The node of the step at `path`, with parameters in their places."""
        match node:
            case ScalarNode():
                return self._scalar(node, path)
            case ListNode():
                items = tuple(self.fill(item, (*path, index)) for index, item in enumerate(node.items))
                return ListNode(node.place, items, 1 + sum(item.size for item in items))
            case MappingNode():
                values = {key: self.fill(child, (*path, key)) for key, child in node.values.items()}
                for key in node.values:
                    if _OPENING in key:
                        self._refuse(node, f"a parameter cannot stand in a key, as in `{key[:60]}`")
                return MappingNode(node.place, values, node.keys, 1 + sum(child.size for child in values.values()))

    def _scalar(self, node: ScalarNode, path: Path) -> Node:
        text = node.written
        if _OPENING not in text:
            return node
        whole = _PLACEHOLDER.fullmatch(text.strip())
        if whole is not None:
            found = self._value(whole[1], node)
            return self._text(found, node) if _is_variable(path) or _is_command(path) else found
        filled = _PLACEHOLDER.sub(lambda match: self._in_text(match, node, path), text)
        if _OPENING in _PLACEHOLDER.sub("", text):
            self._refuse(node, "`${{` must be followed by the name of a parameter and `}}`")
        if len(filled) > MAX_BYTES:
            self._refuse(node, "the text becomes longer than 1 MiB with its parameters")
            return node
        return ScalarNode(node.place, filled, filled)

    def _in_text(self, match: re.Match[str], node: ScalarNode, path: Path) -> str:
        value = self._value(match[1], node)
        if not _is_command(path):
            return _written(value)
        around = match.string[max(0, match.start() - 1) : match.start()], match.string[match.end() : match.end() + 1]
        if any(each in _QUOTES for each in around if each):
            self._refuse(node, f"`{match[0]}` stands in quotes, and is quoted by itself")
        return _words(value)

    def _value(self, name: str, node: ScalarNode) -> Node:
        if name in self.values:
            self.used.add(name)
            return self.values[name]
        known = ", ".join(f"`{each}`" for each in self.values)
        hint = f"known here: {known}" if known else "name it in `parameters`"
        self.flaws.append(Flaw(node.place, "template-parameter", f"`{name}` is no parameter of this template", hint))
        return replace(node, value="", written="")

    def _text(self, value: Node, node: ScalarNode) -> Node:
        """What must be text: a variable, or a command as a whole."""
        if isinstance(value, ScalarNode) and value.value is not EMPTY:
            return value
        text = _written(value)
        return ScalarNode(node.place, text, text)

    def _refuse(self, node: Node, message: str) -> None:
        hint = "write `${{ name }}`, without quotes in a command"
        self.flaws.append(Flaw(node.place, "template-parameter", message, hint))


def _is_variable(path: Path) -> bool:
    return path[:1] == ("env",) or (path[:1] == ("services",) and path[2:3] == ("env",))


def _is_command(path: Path) -> bool:
    return path == ("run",) or (len(path) == 3 and path[0] == "services" and path[2] == "run")


def _written(value: Node) -> str:
    """A scalar as it was written; anything else as JSON."""
    return value.written if isinstance(value, ScalarNode) else json.dumps(_data(value), ensure_ascii=False)


def _words(value: Node) -> str:
    if isinstance(value, ListNode) and all(isinstance(item, ScalarNode) for item in value.items):
        return " ".join(shlex.quote(_written(item)) for item in value.items)
    return shlex.quote(_written(value))


def _data(node: Node) -> object:
    return _without_empty(plain(node))


def _without_empty(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_empty(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_empty(child) for child in value]
    return None if value is EMPTY else value
