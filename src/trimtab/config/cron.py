"""Cron's five fields as recurrence rules (RFC 5545).

What is meant is what cron does: where both the day of the month and the day of the week are named, a day that is
either counts, so that is two rules. A field that begins with `*` names nothing. Where every hour counts the rule is
HOURLY: the calendar goes by that when clocks are put back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.config.quantities import clip, wrong

SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CODES = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PIECE = re.compile(r"(?P<from>\*|[a-z0-9]+)(-(?P<to>[a-z0-9]+))?(/(?P<step>[0-9]+))?")
_Days = Mapping[str, Sequence[int | str]]
_OTHERS = "what only some crons know (`L`, `W`, `#`) can be said with `rule: FREQ=...`"
_EXAMPLE = "for example `0 3 * * mon-fri`: minute, hour, day of the month, month, day of the week"


@dataclass(frozen=True, slots=True)
class _Field:
    what: str
    least: int
    most: int
    names: Mapping[str, int] = field(default_factory=dict)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)


def rules_of(cron: str) -> tuple[str, ...]:
    """The rules of ``*/5 9-17 * * mon-fri`` or ``@daily``. Raises the error of a setting when it says nothing that can
    be done."""
    text = SHORTHANDS.get(cron.strip().lower(), cron.strip().lower())
    words = text.split()
    if text.startswith("@"):
        hint = "known are " + ", ".join(f"`{name}`" for name in SHORTHANDS)
        raise wrong("config-schedule", f"has `{clip(cron)}`, which says no time", hint)
    if "=" in text:
        raise wrong("config-schedule", "has a variable in front of its fields", "the time zone is `timezone`")
    if len(words) != len(_FIELDS):
        raise wrong("config-schedule", f"has {len(words)} fields, and cron has 5", _EXAMPLE)
    minutes, hours, days, months, weekdays = (_numbers(known, word) for known, word in zip(_FIELDS, words, strict=True))
    codes = [_CODES[day] for day in sorted({day % 7 for day in weekdays})]
    by_day: _Days = {"BYMONTHDAY": days} if len(days) < 31 else {}
    by_weekday: _Days = {"BYDAY": codes} if len(codes) < 7 else {}
    kinds: list[_Days] = [{**by_day, **by_weekday}]
    if not words[2].startswith(("*", "?")) and not words[4].startswith(("*", "?")):
        kinds = [by_day, by_weekday] if by_day and by_weekday else [{}]
    possible = [kind for kind in kinds if _ever(months, kind)]
    if not possible:
        raise wrong("config-schedule", f"has `{clip(cron)}`, a day that never comes", "no such month has that day")
    return tuple(_rule(minutes, hours, months, kind) for kind in possible)


def _rule(minutes: Sequence[int], hours: Sequence[int], months: Sequence[int], days: _Days) -> str:
    parts = {
        "FREQ": ["HOURLY" if len(hours) == 24 else "DAILY"],
        "BYMONTH": months if len(months) < 12 else [],
        **days,
        "BYHOUR": hours if len(hours) < 24 else [],
        "BYMINUTE": minutes,
        "BYSECOND": [0],
    }
    return ";".join(f"{name}={','.join(map(str, values))}" for name, values in parts.items() if values)


def _ever(months: Sequence[int], days: _Days) -> bool:
    """Whether there is such a day."""
    named = [day for day in days.get("BYMONTHDAY", ()) if isinstance(day, int)]
    return not named or any(min(named) <= _LONGEST_MONTHS[month - 1] for month in months)


def _numbers(known: _Field, word: str) -> list[int]:
    """All numbers that a field names, in their order."""
    found: set[int] = set()
    for piece in word.split(","):
        found |= set(_span(known, "*" if piece == "?" else piece))
    return sorted(found)


def _span(known: _Field, piece: str) -> range:
    match = _PIECE.fullmatch(piece)
    if not piece:
        raise wrong("config-schedule", f"has a comma too many in its {known.what}", "for example `1,15`")
    if match is None:
        raise wrong("config-schedule", f"has `{clip(piece)}` as its {known.what}, which cannot be understood", _OTHERS)
    step = int(match["step"] or 1)
    if match["from"] == "*":
        if match["to"]:
            raise wrong("config-schedule", f"has `{piece}` as its {known.what}", "write `*`, or a range of two numbers")
        first, last = known.least, min(known.most, 6) if known.most == 7 else known.most
    else:
        first = _number(known, match["from"], piece)
        last = _number(known, match["to"], piece) if match["to"] else known.most if match["step"] else first
        if known.most == 7 and match["to"] and last == 0:
            last = 7  # until Sunday
    if not 1 <= step <= known.most or first > last:
        hint = "the step is at least 1, and a range begins with the smaller one: `22-23,0-6`, `fri,sat,sun,mon`"
        raise wrong("config-schedule", f"has `{clip(piece)}` as its {known.what}, which has nothing in it", hint)
    return range(first, last + 1, step)


def _number(known: _Field, text: str, piece: str) -> int:
    number = int(text) if text.isdigit() else known.names.get(text[:3] if text in _LONG.get(known.what, ()) else text)
    if number is None or not known.least <= number <= known.most:
        names = f", or {' '.join(known.names)}" if known.names else ""
        hint = f"{known.what}: {known.least} to {known.most}{names}{'' if text.isdigit() else f'; {_OTHERS}'}"
        raise wrong("config-schedule", f"has `{clip(piece)}` as its {known.what}", hint)
    return number


_LONG = {
    "month": (
        *("january", "february", "march", "april", "june", "july", "august"),
        *("september", "october", "november", "december"),
    ),
    "day of the week": ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
}
