"""The parts that every group of settings is made of: its base class, and helpers that describe one setting."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from trimtab.config.quantities import show_duration, show_percent, show_size, wrong_type

_JSON_SCHEMA_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class Settings(BaseModel):
    """A group of settings: a mapping that has no other keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


def setting(default: Any, description: str, *examples: Any, **bounds: Any) -> Any:
    """A setting that may be left out; a default of None means that the description says what happens then."""
    return Field(default, description=description, examples=list(examples), **bounds)


def required(description: str, *examples: Any, **bounds: Any) -> Any:
    """A setting that must be there."""
    return Field(description=description, examples=list(examples), **bounds)


def group(default: Any, description: str, *examples: Any, shown: Any = None, alias: str | None = None) -> Any:
    """A group of settings that may be left out; `default` makes it, `shown` is how a user would write it."""
    extra = {"default": {} if shown is None else shown}
    return Field(
        default_factory=default,
        description=description,
        examples=list(examples),
        json_schema_extra=extra,
        alias=alias,
    )


def duration(default_s: float, description: str, example: str, *, alias: str | None = None, **bounds_s: float) -> Any:
    """A duration; the schema shows its default as people write it. `alias`: its name in the file."""
    return _quantity(default_s, show_duration(default_s), description, example, bounds_s, alias)


def percent(default_pct: float, description: str, example: str, **bounds_pct: float) -> Any:
    """A percentage; the schema shows its default as people write it."""
    return _quantity(default_pct, show_percent(default_pct), description, example, bounds_pct)


def size(default_bytes: int | None, description: str, example: str) -> Any:
    """A size in bytes; the schema shows its default as people write it."""
    shown = None if default_bytes is None else show_size(default_bytes)
    return setting(default_bytes, description, example, json_schema_extra={"default": shown}, ge=1024 * 1024)


def required_percent(description: str, example: str, **bounds_pct: float) -> Any:
    """A percentage that must be there."""
    return required(description, example, json_schema_extra=_schema_bounds(bounds_pct), **bounds_pct)


def _quantity(
    default: float, shown: str, description: str, example: str, bounds: dict[str, float], alias: str | None = None
) -> Any:
    extra = {"default": shown, **_schema_bounds(bounds)}
    return setting(default, description, example, json_schema_extra=extra, alias=alias, **bounds)


def _schema_bounds(bounds: dict[str, float]) -> dict[str, Any]:
    # A JSON Schema's bounds concern numbers only; the type's own schema, which allows text too, hides pydantic's.
    return {_JSON_SCHEMA_BOUNDS[name]: bound for name, bound in bounds.items()}


def mapping(value: Any, expected: str, hint: str) -> Any:
    """`value` if it is a mapping; `expected` names what else could stand there."""
    if isinstance(value, dict):
        return value
    raise wrong_type(expected, value, hint)


def listed(value: Any) -> Any:
    """A text alone is a list of one."""
    return [value] if isinstance(value, str) else value
