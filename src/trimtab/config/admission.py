"""When releases are deployed by themselves, and what moves together."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrulestr
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trimtab.config.defaults import BUDGET, GROUP
from trimtab.config.fields import Duration, Name, Percent
from trimtab.config.hours import CODES, DAYS, Clock, Weekdays, clock, parse_moment
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, duration, listed, required, required_percent, setting

_A_MONDAY = datetime.fromisoformat("2024-01-01")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong("config-invalid-value", "is no time zone", "for example `Europe/Berlin` or `UTC`") from None
    return name


def _moment(text: str) -> str:
    parse_moment(text)
    return text


Zone = Annotated[str, AfterValidator(_zone)]
Moment = Annotated[str, AfterValidator(_moment)]


class Window(Settings):
    """A time in which rollouts may begin by themselves, again and again: `days` and `hours`, or an RFC 5545 `rule` with
    `start` and `for`."""

    days: Weekdays | None = setting(None, "Days of the week. Left out: every day.", "mon-fri", ["mon", "wed"])
    hours: Clock | None = setting(None, "From when to when. Left out: the whole day.", "09:00-16:00")
    rule: str | None = setting(None, "A recurrence rule (RRULE).", "FREQ=MONTHLY;BYDAY=1TU", max_length=1000)
    start: Moment | None = setting(None, "When the rule begins, by which its time of day is known.", "2026-01-06T09:00")
    for_: Duration | None = setting(
        None,
        "How long each occurrence of the rule lasts.",
        "7h",
        alias="for",
        json_schema_extra={"exclusiveMinimum": 0, "maximum": 31_536_000},
        gt=0,
        le=31_536_000,
    )
    zone: Zone = setting("UTC", "Time zone in which all this is meant.", "Europe/Berlin")

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        by_rule = [name for name in ("rule", "start", "for_") if getattr(self, name) is not None]
        if by_rule and (self.days is not None or self.hours is not None):
            raise wrong("config-conflict", "has both a rule and days or hours", "keep one way to say it")
        if by_rule and len(by_rule) < 3:
            raise wrong("config-conflict", "needs `rule`, `start` and `for` together", "or write `days` and `hours`")
        if not by_rule and self.days is None and self.hours is None:
            raise wrong("config-invalid-value", "says no time", "for example `{days: mon-fri, hours: 09:00-16:00}`")
        if self.rule is not None:
            check_rule(self.rule, self.start or "")
        return self

    def spelled_out(self) -> tuple[str, str, float]:
        """The rule, its start and the seconds that each occurrence lasts."""
        if self.rule is not None:
            start = parse_moment(self.start or "").replace(tzinfo=None)
            return self.rule.removeprefix("RRULE:"), start.isoformat(), self.for_ or 0.0
        begin, length = clock(self.hours) if self.hours else (timedelta(), timedelta(days=1))
        days = ",".join(code for day, code in zip(DAYS, CODES, strict=True) if day in (self.days or DAYS))
        return f"FREQ=WEEKLY;BYDAY={days}", (_A_MONDAY + begin).isoformat(), length.total_seconds()


_RULE = re.compile(r"(RRULE:)?FREQ=(YEARLY|MONTHLY|WEEKLY|DAILY|HOURLY)(;[A-Z]+=[A-Z0-9,+-]+)*")


def check_rule(rule: str, start: str) -> None:
    """Raise the error of a setting unless it is a rule with an occurrence."""
    if not _RULE.fullmatch(rule) or re.search(r"INTERVAL=0+(;|$)", rule):
        hint = "for example `FREQ=WEEKLY;BYDAY=MO,TU`: FREQ comes first, at most HOURLY, and `start` is DTSTART"
        raise wrong("config-invalid-value", "must be one recurrence rule (RFC 5545)", hint)
    try:
        occurrences = rrulestr(rule.removeprefix("RRULE:"), dtstart=parse_moment(start).replace(tzinfo=None))
        first = next(iter(occurrences), None)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        hint = "for example `FREQ=WEEKLY;BYDAY=MO,TU` (RFC 5545)"
        raise wrong("config-invalid-value", f"has a rule that cannot be understood: {error}", hint) from None
    if first is None:
        raise wrong("config-invalid-value", "has a rule without any occurrence", "see its UNTIL and COUNT")


def _as_windows(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Windows = Annotated[
    list[Window], Field(max_length=20), BeforeValidator(_as_windows, json_schema_input_type=Window | list[Window])
]


class Freeze(Settings):
    """A time in which nothing is deployed by itself."""

    from_: Moment = required("When it begins: a date, or a date with a time.", "2026-12-20", alias="from")
    to: Moment = required("When it ends; a date alone is part of it.", "2027-01-02")
    zone: Zone = setting("UTC", "Time zone of both.", "Europe/Berlin")
    reason: str = setting("", "Why, for whoever waits.", "holidays", max_length=200)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        begin, end = self.span_s()
        if end <= begin:
            raise wrong("config-conflict", "ends before it begins", "exchange `from` and `to`")
        return self

    def span_s(self) -> tuple[float, float]:
        """Begin and end (seconds since the epoch)."""
        begin, end = parse_moment(self.from_), parse_moment(self.to)
        if len(self.to) == len("2026-12-20") and end.year < 9999:
            end += timedelta(days=1)
        return self._epoch_s(begin), self._epoch_s(end)

    def _epoch_s(self, moment: datetime) -> float:
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.zone))).astimezone(UTC).timestamp()
        except OverflowError:
            raise wrong("config-invalid-value", "has a date beyond the calendar", "use years 2 to 9998") from None


class Budget(Settings):
    """How many requests may fail. When that is used up, nothing is deployed by itself until it recovers."""

    objective: Percent = required_percent("Share of requests that must not fail.", "99.9%", gt=0, lt=100)
    days: int = setting(BUDGET.days, "Over how many days, today included.", 30, ge=1, le=90)


_MEMBER = "[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9-]*[a-z0-9])?"


def _member(text: str) -> str:
    if re.fullmatch(_MEMBER, text):
        return text
    raise wrong("config-invalid-value", "must be an application and its environment", "for example `cart/production`")


class Group(Settings):
    """Environments of several applications whose rollouts move step by step together, and return together. All members
    name the same group with the same members."""

    name: Name = required("Name of the group.", "checkout")
    members: Annotated[
        list[Annotated[str, AfterValidator(_member)]], Field(min_length=2, max_length=20), BeforeValidator(listed)
    ] = required("The members, this environment too, as `APP/ENVIRONMENT`.", ["cart/production", "pay/production"])
    gather: Duration = duration(
        GROUP.gather_s, "How long the first step waits for members without a rollout.", "5m", ge=0, le=86_400
    )
