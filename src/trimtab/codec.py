"""Facts, actions and states as JSON text and back, exactly.

The name of the kind is kept beside the text (a column, a field of an envelope), not in it. Numbers that JSON does not
know (infinity, not-a-number) are kept as strings. Text that a newer version wrote is refused, never read in part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.actions import ACTIONS, Action
from trimtab.core.model.facts import FACTS, Fact, FactOfNewerVersion
from trimtab.core.model.identity import ObjectId

T = TypeVar("T")

_CONFIG = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


def encode_fact(fact: Fact) -> str:
    """The fact's fields as a JSON object. Its kind is `type(fact).__name__`."""
    return _encode(fact)


def decode_fact(kind: str, text: str) -> Fact:
    """The fact that `encode_fact` was given. Raises `TrimtabError` (`kind-unknown`, `text-unreadable`)."""
    return _decode(_known(FACTS, "fact", kind), text)


def read_fact(kind: str, text: str) -> Fact:
    """The same for whoever only reads the log: what cannot be read is told by a `FactOfNewerVersion`, so that a version
    that is being replaced goes on showing what it knows."""
    try:
        return decode_fact(kind, text)
    except TrimtabError:
        return FactOfNewerVersion(kind, text)


def encode_action(action: Action) -> str:
    """The action's fields as a JSON object. Its kind is `type(action).__name__`."""
    return _encode(action)


def decode_action(kind: str, text: str) -> Action:
    """The action that `encode_action` was given. Raises `TrimtabError` (`kind-unknown`, `text-unreadable`)."""
    return _decode(_known(ACTIONS, "action", kind), text)


def encode_state(state: Any) -> str:
    """An object's state (a dataclass of `core.decide`) as a JSON object."""
    return _encode(state)


def decode_state(kind: type[T], text: str) -> T:
    """The state of class `kind` that `encode_state` was given. Raises `TrimtabError` (`text-unreadable`)."""
    return _decode(kind, text)


def encode_parts(parts: Iterable[object]) -> str:
    """Values of several dataclasses, a line for each: the name of its class, a tab, its fields as a JSON object."""
    return "".join(f"{type(part).__name__}\t{_encode(part)}\n" for part in parts)


def decode_parts(kinds: Collection[type[Any]], text: str) -> Iterator[object]:
    """What `encode_parts` was given, which were of these classes. Raises `TrimtabError` (`kind-unknown`,
    `text-unreadable`)."""
    known = {kind.__name__: kind for kind in kinds}
    for line in text.split("\n")[:-1]:
        name, _, fields = line.partition("\t")
        yield _decode(_known(known, "part", name), fields)


def shape(kinds: Iterable[type[Any]]) -> str:
    """16 hex digits that are others as soon as one of the classes has other fields, or one that it is made of."""
    schemas = [_adapter(kind).json_schema() for kind in kinds]
    return hashlib.sha256(json.dumps(schemas, sort_keys=True).encode()).hexdigest()[:16]


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Made when first needed (it takes milliseconds), and then kept."""
    if kind not in _adapters:
        # pydantic takes no configuration for a dataclass itself, but hands one for a union down to it.
        either: Any = kind | None
        _adapters[kind] = TypeAdapter(either, config=_CONFIG)
    return _adapters[kind]


def _encode(value: Any) -> str:
    return _adapter(type(value)).dump_json(value).decode()


def _decode(kind: type[T], text: str) -> T:
    try:
        value = _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise _unreadable(kind, error) from error
    if value is None:
        raise failure("text-unreadable", f"there is no {kind.__name__} in the stored text", _HINT)
    assert isinstance(value, kind)
    return value


_HINT = "it was probably written by a newer version of Trimtab: run that one, or newer"


def _known(kinds: Mapping[str, type[T]], what: str, kind: str) -> type[T]:
    if kind not in kinds:
        raise failure("kind-unknown", f"this version of Trimtab knows no {what} of the kind {kind}", _HINT)
    return kinds[kind]


def _unreadable(kind: type[Any], error: ValidationError) -> TrimtabError:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    place = f"field {field}: " if field else ""
    return failure("text-unreadable", f"a stored {kind.__name__} cannot be read: {place}{first['msg']}", _HINT)


class StateMemory:
    """The state that was stored last for each object, to spare decoding the very text that was just encoded."""

    def __init__(self) -> None:
        self._known: dict[ObjectId, tuple[str, object]] = {}

    def decode(self, object_id: ObjectId, state_class: type[T], text: str) -> T:
        """`decode_state`, or what was kept if the text is still the same."""
        known_text, known = self._known.get(object_id, ("", None))
        return known if isinstance(known, state_class) and known_text == text else decode_state(state_class, text)

    def keep(self, object_id: ObjectId, text: str, state: object) -> None:
        """Remember what was stored."""
        self._known[object_id] = (text, state)

    def forget(self, object_id: ObjectId) -> None:
        """The object needs no more decisions."""
        self._known.pop(object_id, None)
