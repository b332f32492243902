"""What the models know of the setting at a path: its neighbours, its example, its unit."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trimtab.config.nodes import Path
from trimtab.config.quantities import (
    clip,
    parse_duration,
    parse_percent,
    parse_size,
    show_duration,
    show_percent,
    show_size,
)


def known_keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The settings of the group at `path`; none where names are free."""
    kind, _ = _at(model, path)
    return tuple(_fields(kind)) if _is_model(kind) else ()


def unknown_hint(model: type[BaseModel], path: Path) -> str:
    """What the group at `path` says of settings that it does not know; empty: nothing."""
    kind, _ = _at(model, path)
    return str(getattr(kind, "unknown_hint", ""))


def _fields(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings of a group by the name that stands in the file."""
    return {info.alias or name: info for name, info in kind.model_fields.items()}


def example(model: type[BaseModel], path: Path) -> str:
    """A line that sets the setting at `path`; empty where names are free."""
    _, info = _at(model, path)
    if info is None or not info.examples:
        return ""
    return f"{path[-1]}: {in_one_line(info.examples[0])}"


def in_one_line(value: Any) -> str:
    """A plain value as YAML in one line, without needless quotes; for examples and defaults, whose texts are tame."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {in_one_line(child)}" for key, child in value.items()) + "}"
        case list():
            return "[" + ", ".join(in_one_line(child) for child in value) + "]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def show_bound(model: type[BaseModel], path: Path, bound: float) -> str:
    """A bound of the setting at `path` in the setting's unit."""
    _, info = _at(model, path)
    checks = [getattr(check, "func", None) for check in _metadata(info)] if info else []
    if parse_duration in checks:
        return show_duration(bound)
    if parse_percent in checks:
        return show_percent(bound)
    if parse_size in checks:
        return show_size(bound)
    return clip(str(int(bound) if bound == int(bound) else bound))


def _metadata(info: FieldInfo) -> list[Any]:
    """What is known of the value, also where it may be left out (`Annotated[...] | None`)."""
    choices = get_args(info.annotation) if get_origin(info.annotation) in (Union, UnionType) else ()
    return [*info.metadata, *(item for choice in choices for item in get_args(choice)[1:])]


def _at(model: type[BaseModel], path: Path) -> tuple[Any, FieldInfo | None]:
    """The type at `path`, and the setting if there is one of this name."""
    kind: Any = model
    info: FieldInfo | None = None
    for part in path:
        if _is_model(kind):
            info = _fields(kind).get(str(part))
            kind = _bare(info.annotation) if info else Any
        else:
            info = None
            arguments = get_args(kind)
            kind = _bare(arguments[-1]) if arguments else Any
    return kind, info


def _bare(kind: Any) -> Any:
    """The type without `Annotated` and without `None`."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _bare(get_args(kind)[0])
    if origin in (Union, UnionType):
        return _bare(next(choice for choice in get_args(kind) if choice is not type(None)))
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
