"""Days of the week, times of day and dates as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from trimtab.config.quantities import wrong

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
"""The same as RFC 5545 writes them."""

_HOURS = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])\s*-\s*([01]?[0-9]|2[0-4]):([0-5][0-9])")
_DAY = timedelta(days=1)


def _weekdays(value: Any) -> Any:
    """``mon-fri``, ``mon, wed``, or a list."""
    pieces = re.split(r"\s*,\s*", value) if isinstance(value, str) else value
    if not isinstance(pieces, list):
        return pieces
    found: list[Any] = []
    for piece in pieces:
        first, dash, last = str(piece).lower().partition("-")
        if dash and first in DAYS and last in DAYS:
            begin = DAYS.index(first)
            length = (DAYS.index(last) - begin) % 7 + 1
            found += [DAYS[(begin + day) % 7] for day in range(length)]
        else:
            found.append(str(piece).lower())
    return found


def _day(text: str) -> str:
    if text in DAYS:
        return text
    raise wrong("config-invalid-value", "names no day of the week", "for example `mon-fri` or `[mon, wed]`")


def clock(text: str) -> tuple[timedelta, timedelta]:
    """How long after midnight ``09:00-16:00`` begins, and how long it lasts: over midnight if it ends before that."""
    found = _HOURS.fullmatch(text)
    if found is None:
        raise wrong("config-invalid-value", "must be two times of day", "for example `09:00-16:00`")
    begin = timedelta(hours=int(found[1]), minutes=int(found[2]))
    end = timedelta(hours=int(found[3]), minutes=int(found[4]))
    if max(begin, end) > _DAY or begin == _DAY:
        raise wrong("config-invalid-value", "must be two times of day", "the last one is `24:00`")
    return begin, end - begin if end > begin else end - begin + _DAY


def _checked(text: str) -> str:
    clock(text)
    return text


def parse_moment(text: str) -> datetime:
    """``2026-12-20`` or ``2026-12-20T18:00``, with an offset or without."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        hint = "write `2026-12-20` or `2026-12-20T18:00`"
        raise wrong("config-invalid-value", "must be a date, or a date with a time", hint) from None


Weekdays = Annotated[
    list[Annotated[str, AfterValidator(_day)]],
    Field(min_length=1, max_length=20),
    BeforeValidator(_weekdays, json_schema_input_type=str | list[str]),
]
Clock = Annotated[str, AfterValidator(_checked)]
