"""Text that some version wrote, one of each kind: it must be readable for ever. `golden.jsonl` only ever grows.

python -m tests.codec.golden      adds kinds that are new; it leaves all lines that are there
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from trimtab.codec import decode_action, decode_fact, decode_state, encode_action, encode_fact, encode_state
from trimtab.core.decide.application import AppState
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.rollout import RolloutState
from trimtab.core.decide.run import RunState
from trimtab.core.model.actions import ACTIONS
from trimtab.core.model.facts import FACTS

FILE = Path(__file__).with_name("golden.jsonl")
STATES: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (AppState, RunState, EnvironmentState, RolloutState)}
KINDS: Mapping[str, Mapping[str, type[Any]]] = {"fact": FACTS, "action": ACTIONS, "state": STATES}
_PLAIN: Mapping[Any, Any] = {str: "text", int: 7, float: 1.5, bool: True, Any: {"any": [1, None]}}


@dataclass(frozen=True, slots=True)
class Golden:
    """`text` of a `kind` of ``fact``, ``action`` or ``state``."""

    what: str
    kind: str
    text: str

    def decode(self) -> Any:
        if self.what == "fact":
            return decode_fact(self.kind, self.text)
        return (
            decode_action(self.kind, self.text) if self.what == "action" else decode_state(STATES[self.kind], self.text)
        )

    def encode(self, value: Any) -> str:
        if self.what == "fact":
            return encode_fact(value)
        return encode_action(value) if self.what == "action" else encode_state(value)


def golden() -> list[Golden]:
    """Every line of the file."""
    return [Golden(*json.loads(line)) for line in FILE.read_text().splitlines()] if FILE.exists() else []


def missing() -> Iterator[tuple[str, str]]:
    """What has no line yet."""
    known = {(line.what, line.kind) for line in golden()}
    for what, kinds in KINDS.items():
        yield from ((what, kind) for kind in kinds if (what, kind) not in known)


def filled(kind: Any) -> Any:
    """A value of a type, as annotated in the model, with something in every field."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if is_dataclass(kind):
        assert isinstance(kind, type)
        hints = get_type_hints(kind)
        return kind(**{field.name: filled(hints[field.name]) for field in fields(kind)})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return arguments[-1]
    if origin in (Union, types.UnionType):
        return filled(next(argument for argument in arguments if argument is not type(None)))
    if origin is tuple:
        return tuple(filled(argument) for argument in arguments if argument is not Ellipsis)
    assert origin is Mapping, f"teach this about {kind}"
    return {filled(arguments[0]): filled(arguments[1])}


def add_missing() -> None:
    """A line for each kind that has none."""
    lines = []
    for what, kind in list(missing()):
        text = Golden(what, kind, "").encode(filled(KINDS[what][kind]))
        lines.append(json.dumps([what, kind, text], ensure_ascii=False) + "\n")
    with FILE.open("a") as file:
        file.writelines(lines)


if __name__ == "__main__":
    add_missing()
