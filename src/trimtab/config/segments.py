"""Who takes part in a step: conditions on requests."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trimtab.config.fields import HeaderName, Name
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, mapping, setting

EVERYBODY = "everybody"
"""The word that ends a `match`."""

_ONE_OF = ("segment", "header", "cookie", "query", "all")
_HOW = ("equals", "prefix", "regex")


def _listed_conditions(value: Any) -> Any:
    if value == EVERYBODY:
        return []
    return [_condition(item) for item in (value if isinstance(value, list) else [value])]


def _condition(value: Any) -> Any:
    if isinstance(value, str):
        return {"segment": value}
    return mapping(value, "a segment's name or a condition", "for example `beta`, `{header: X-Beta, equals: 1}`")


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _regex(text: str) -> str:
    for odd in ("(?=", "(?!", "(?<=", "(?<!", "(?P="):
        if odd in text:
            raise wrong("config-invalid-value", f"has `{odd}`, which gateways do not know (RE2)", "write it without")
    return text


class Condition(Settings):
    """One property of a request: `header`, `cookie` or `query`, and what it `equals`, begins with (`prefix`) or
    matches (`regex`, all of it); without one of these it has to be there. `all` joins several, `segment` names one of
    `segments`."""

    segment: Name | None = setting(None, "A segment of this environment.", "beta")
    header: HeaderName | None = setting(None, "Name of a request header.", "X-Beta")
    cookie: HeaderName | None = setting(None, "Name of a cookie.", "staff")
    query: HeaderName | None = setting(None, "Name of a parameter in the URL.", "preview")
    equals: Annotated[str, BeforeValidator(_text, json_schema_input_type=str | float)] | None = setting(
        None, "Its whole value.", "1"
    )
    prefix: str | None = setting(None, "What its value begins with.", "staff-", min_length=1)
    regex: Annotated[str, AfterValidator(_regex)] | None = setting(
        None, "A regular expression (RE2) for its whole value.", "red|blue", min_length=1
    )
    all: Annotated[list[Condition], BeforeValidator(_listed_conditions), Field(min_length=1, max_length=10)] | None = (
        setting(None, "Conditions that must all be true.", [{"header": "X-Beta"}, {"cookie": "staff"}])
    )

    @model_validator(mode="after")
    def _one_property(self) -> Self:
        given = [name for name in _ONE_OF if getattr(self, name) is not None]
        if len(given) != 1:
            hint = "for example `{header: X-Beta, equals: 1}`"
            raise wrong("config-conflict", "must have one of `header`, `cookie`, `query`, `all`, `segment`", hint)
        how = [name for name in _HOW if getattr(self, name) is not None]
        if len(how) > 1:
            raise wrong("config-conflict", f"has both `{how[0]}` and `{how[1]}`", "keep one of them")
        if how and given[0] in ("all", "segment"):
            raise wrong("config-conflict", f"has `{how[0]}`, but no property of its own to compare", "remove it")
        return self


Conditions = Annotated[
    list[Condition],
    Field(max_length=20),
    BeforeValidator(_listed_conditions, json_schema_input_type=str | Condition | list[str | Condition]),
]
"""Any of them has to be true; none: everybody takes part."""
