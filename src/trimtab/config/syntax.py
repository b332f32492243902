"""YAML text to nodes with places, or what is wrong with it as YAML.

Everything is bounded, because the text comes from whoever may push: size, length of a line, depth, and the number of
nodes once aliases are written out (else a few lines of aliases grow to gigabytes).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from trimtab.config.flaws import Flaw, Unreadable
from trimtab.config.nodes import EMPTY, Empty, ListNode, MappingNode, Node, Place, ScalarNode

MAX_BYTES = 1024 * 1024
MAX_LINE = 20_000
"""Characters. The parser needs time that grows with the square of some tokens."""
MAX_NODES = 10_000
MAX_DEPTH = 32

_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"~|null|Null|NULL|")
_PLAIN_TAGS = ("tag:yaml.org,2002:str", "!")

_IN_PLAIN_WORDS = (
    ("'\\t'", "a tab is used where YAML allows only spaces", "indent with spaces"),
    (
        "mapping values are not allowed",
        "a `:` stands where no setting can begin",
        "put the value before it in quotes, or the setting on a line of its own, indented like its neighbours",
    ),
    ("could not find expected ':'", "this line has no `:` after its key", "write `key: value`"),
    ("expected <block end>", "this line is not indented like the ones before it", "use the same spaces as above"),
    (
        "expected ',' or",
        "the bracket of line {line} is not closed, or a comma is missing",
        "close it before the next setting",
    ),
    ("'<stream end>'", "the file ends in the middle of a value", "close the bracket or the quote"),
    ("unexpected end of stream", "the quote of line {line} is not closed", "add the closing quote"),
    ("cannot start any token", "a value cannot begin with this character", "put the value in quotes"),
)


def read(text: str) -> tuple[MappingNode, tuple[Flaw, ...]]:
    """The file's root mapping, and flaws that do not keep the rest from being read. Raises `Unreadable`."""
    _check_bounds(text)
    composer = _Composer(_events(text))
    root = composer.document()
    if root is None:
        raise Unreadable(
            Flaw(Place(1, 1), "config-empty", "the file is empty", "`trimtab init` writes one to start from")
        )
    if not isinstance(root, MappingNode):
        raise Unreadable(
            Flaw(
                root.place,
                "config-not-a-mapping",
                "the file must consist of `key: value` lines",
                "begin with `app: NAME`",
            )
        )
    return root, tuple(composer.flaws)


def _check_bounds(text: str) -> None:
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise Unreadable(
            Flaw(
                Place(1, 1),
                "config-too-large",
                "the file is larger than 1 MiB",
                "it holds settings only; move data out",
            )
        )
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            message = f"the line is longer than {MAX_LINE:,} characters"
            raise Unreadable(
                Flaw(Place(number, 1), "config-too-large", message, "put long text into a file of its own")
            )


def _events(text: str) -> Iterator[Any]:
    """The parser's events; everything that it can raise becomes `Unreadable`."""
    text = text.removeprefix("\ufeff")
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        raise Unreadable(_explain(error)) from None
    except YAMLError as error:
        raise Unreadable(_unprintable(text, getattr(error, "position", 0))) from None
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError) as error:
        # Text that is no YAML at all finds its way past the parser's own checks, e.g. the escape "\UFFFFFFFF".
        raise Unreadable(Flaw(Place(1, 1), "config-syntax", f"this is not valid YAML: {error}")) from None


def _explain(error: MarkedYAMLError) -> Flaw:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    said = error.problem or error.context or "it cannot be understood"
    for pattern, message, hint in _IN_PLAIN_WORDS:
        if pattern in said:
            began = error.context_mark.line + 1 if error.context_mark else place.line
            return Flaw(place, "config-syntax", message.format(line=began), hint)
    return Flaw(place, "config-syntax", f"this is not valid YAML: {said}")


def _unprintable(text: str, position: int) -> Flaw:
    before = text[:position]
    place = Place(before.count("\n") + 1, position - before.rfind("\n"))
    character = f"U+{ord(text[position]):04X}" if position < len(text) else "an unknown one"
    return Flaw(place, "config-syntax", f"the character {character} is not allowed in YAML", "remove it")


@dataclass(slots=True)
class _Composer:
    """Makes nodes of events."""

    events: Iterator[Any]
    flaws: list[Flaw] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    depth: int = 0

    def document(self) -> Node | None:
        """The only document; None when the file has none, or an empty one."""
        root: Node | None = None
        documents = 0
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = "the file holds more than one YAML document"
                    raise Unreadable(Flaw(_place(event), "config-syntax", message, "remove the `---` line"))
            elif isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent, AliasEvent)):
                root = self._node(event)
        if isinstance(root, ScalarNode) and root.value is EMPTY:
            return None
        return root

    def _node(self, event: Any) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self._check_tag(event)
        node: Node
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        else:
            self.depth += 1
            if self.depth > MAX_DEPTH:
                message = f"settings are nested more than {MAX_DEPTH} levels deep"
                raise Unreadable(Flaw(_place(event), "config-too-large", message, "no setting needs that"))
            node = self._list(event) if isinstance(event, SequenceStartEvent) else self._mapping(event)
            self.depth -= 1
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        # A node's anchor is known once the node is complete, so an alias can never lead back into itself.
        node = self.anchors.get(event.anchor)
        if node is None:
            message = f"`*{event.anchor}` refers to an anchor that does not stand before it"
            hint = f"define it with `&{event.anchor}`, or put the value in quotes if it begins with `*`"
            raise Unreadable(Flaw(_place(event), "config-syntax", message, hint))
        return node

    def _check_tag(self, event: Any) -> None:
        tag = str(event.tag) if event.tag is not None else ""
        if tag and tag not in _PLAIN_TAGS:
            message = f"the tag `{tag[:40]}` has no meaning here"
            self.flaws.append(Flaw(_place(event), "config-syntax", message, "remove it"))

    def _scalar(self, event: Any) -> ScalarNode:
        text = str(event.value)
        if "\0" in text or not _encodable(text):
            message = "the text holds a character that no command or file can hold"
            self.flaws.append(Flaw(_place(event), "config-syntax", message, "remove the escape (`\\0`, `\\uD800`)"))
            text = text.encode(errors="replace").decode().replace("\0", "?")
        is_text = event.style is not None or event.tag is not None
        return ScalarNode(_place(event), text if is_text else _resolve(text), text)

    def _list(self, start: Any) -> ListNode:
        items: list[Node] = []
        size = 1
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._node(event))
            size = self._grown(size, items[-1], start)
        return ListNode(_place(start), tuple(items), size)

    def _mapping(self, start: Any) -> MappingNode:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        size = 1
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                break
            key = self._node(event)
            value = self._node(next(self.events))
            size = self._grown(size, value, start)
            if flaw := _key_flaw(key, keys):
                self.flaws.append(flaw)
            elif isinstance(key, ScalarNode):
                values[key.written], keys[key.written] = value, _place(event)
        return MappingNode(_place(start), values, keys, size)

    def _grown(self, size: int, child: Node, start: Any) -> int:
        if size + child.size > MAX_NODES:
            message = f"the file has more than {MAX_NODES:,} values once its aliases are written out"
            raise Unreadable(
                Flaw(_place(start), "config-too-large", message, "remove aliases (`*name`) that repeat others")
            )
        return size + child.size


def _key_flaw(key: Node, known: dict[str, Place]) -> Flaw | None:
    if not isinstance(key, ScalarNode):
        return Flaw(key.place, "config-syntax", "a key must be plain text", "write `key: value`")
    if key.written == "<<":
        hint = "write the settings out, or give a whole value an anchor (`&name`) and an alias (`*name`)"
        return Flaw(key.place, "config-syntax", "merge keys (`<<`) are not part of YAML 1.2", hint)
    if first := known.get(key.written):
        message = f"`{key.written}` is given twice; the first one is in line {first.line}"
        return Flaw(key.place, "config-duplicate-key", message, "keep one of them")
    return None


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _resolve(text: str) -> str | int | float | bool | Empty:
    """The value of an unquoted scalar, by the core schema of YAML 1.2 (`on` and `012` are not special).

    Infinity and not-a-number stay text: no setting takes them, and a release's manifest could not hold them.
    """
    if _NULL.fullmatch(text):
        return EMPTY
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
