"""Deployment windows: RFC 5545 rules in time zones, compared with what a person would count out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.calendar import RuleCalendar
from trimtab.config.cron import rules_of
from trimtab.core.errors import TrimtabError
from trimtab.core.model.opening import ALWAYS
from trimtab.core.model.specification import ScheduleSpec, WindowSpec

BERLIN = ZoneInfo("Europe/Berlin")
WORK = WindowSpec("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2024-01-01T09:00:00", 7 * 3600.0, "Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def test_without_windows_it_is_always_open() -> None:
    assert RuleCalendar().opening((), 0.0) == ALWAYS


@pytest.mark.parametrize(
    ("now", "is_open", "until"),
    [
        ("2026-11-25T08:59:59", False, "2026-11-25T09:00"),
        ("2026-11-25T09:00:00", True, "2026-11-25T16:00"),
        ("2026-11-25T15:59:59", True, "2026-11-25T16:00"),
        ("2026-11-25T16:00:00", False, "2026-11-26T09:00"),
        ("2026-11-27T17:00:00", False, "2026-11-30T09:00"),
    ],
)
def test_working_hours(now: str, is_open: bool, until: str) -> None:
    opening = RuleCalendar().opening((WORK,), at(now))
    assert (opening.is_open, opening.until) == (is_open, at(until))


def test_hours_are_those_of_the_clock_on_the_wall_in_summer_and_winter() -> None:
    calendar = RuleCalendar()
    assert calendar.opening((WORK,), at("2026-07-01T09:00")).is_open
    assert datetime.fromtimestamp(at("2026-07-01T09:00"), UTC).hour == 7
    assert calendar.opening((WORK,), at("2026-12-01T09:00")).is_open
    assert datetime.fromtimestamp(at("2026-12-01T09:00"), UTC).hour == 8


def test_a_window_that_begins_when_clocks_are_put_forward_opens_after_that() -> None:
    nightly = WindowSpec("FREQ=DAILY", "2026-03-01T02:30:00", 3600.0, "Europe/Berlin")
    for now, is_open in (("03:29", False), ("03:30", True), ("04:29", True), ("04:30", False)):
        assert RuleCalendar().opening((nightly,), at(f"2026-03-29T{now}")).is_open is is_open, now
    assert RuleCalendar().opening((nightly,), at("2026-03-29T03:10")).until == at("2026-03-29T03:30")


def test_a_window_that_begins_when_clocks_are_put_back_opens_once() -> None:
    nightly = WindowSpec("FREQ=DAILY", "2026-10-01T02:30:00", 3600.0, "Europe/Berlin")
    begin = at("2026-10-25T02:30")
    for minutes, is_open in ((-1, False), (0, True), (59, True), (60, False), (61, False)):
        assert RuleCalendar().opening((nightly,), begin + 60 * minutes).is_open is is_open, minutes


def test_windows_that_follow_each_other_are_one() -> None:
    always = WindowSpec("FREQ=DAILY", "2024-01-01T00:00:00", 86_400.0)
    opening = RuleCalendar().opening((always,), at("2026-11-25T12:00", ZoneInfo("UTC")))
    assert opening.is_open
    assert opening.until is not None
    morning = WindowSpec("FREQ=DAILY", "2024-01-01T08:00:00", 4 * 3600.0)
    noon = WindowSpec("FREQ=DAILY", "2024-01-01T11:00:00", 2 * 3600.0)
    joined = RuleCalendar().opening((noon, morning), at("2026-11-25T09:00", ZoneInfo("UTC")))
    assert joined.until == at("2026-11-25T13:00", ZoneInfo("UTC"))


def test_a_rule_that_is_over_never_opens_again() -> None:
    once = WindowSpec("FREQ=DAILY;COUNT=1", "2024-01-01T08:00:00", 3600.0)
    opening = RuleCalendar().opening((once,), at("2026-11-25T09:00"))
    assert (opening.is_open, opening.until) == (False, None)


@pytest.mark.parametrize(
    ("window", "says"),
    [
        (WindowSpec("FREQ=SOMETIMES", "2024-01-01T08:00:00", 1.0), "cannot be understood"),
        (WindowSpec("FREQ=DAILY", "2024-01-01T08:00:00", 1.0, "Mars/Base"), "no such time zone"),
        (WindowSpec("DTSTART:20200101T000000Z\nRRULE:FREQ=DAILY", "2024-01-01T08:00:00", 1.0), "cannot be worked out"),
    ],
)
def test_what_cannot_be_understood_is_said(window: WindowSpec, says: str) -> None:
    with pytest.raises(TrimtabError) as refused:
        RuleCalendar().opening((window,), 0.0)
    assert says in refused.value.problem.message


@given(
    st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01")),
    st.integers(0, 23),
    st.integers(1, 30),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_as_counted_out_day_by_day(moment: datetime, hour: int, hours: int, zone: str) -> None:
    window = WindowSpec("FREQ=WEEKLY;BYDAY=MO,WE,SA", f"2025-01-01T{hour:02}:00:00", hours * 3600.0, zone)
    now = moment.replace(tzinfo=UTC).timestamp()
    day = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(hour=hour, minute=0, second=0, microsecond=0, fold=0)
    days = [(day.replace(tzinfo=None) + timedelta(days=n)).replace(tzinfo=ZoneInfo(zone)) for n in range(-9, 9)]
    starts = [day.timestamp() for day in days if day.weekday() in (0, 2, 5)]
    expected = any(start <= now < start + hours * 3600 for start in starts)
    opening = RuleCalendar().opening((window,), now)
    assert opening.is_open is expected
    assert opening.until is not None
    assert opening.until > now


def test_what_was_found_out_is_kept_only_while_it_holds() -> None:
    calendar, before = RuleCalendar(), at("2026-11-25T08:00")
    for hours in (0, 1, 2, 9, 1, 0):
        expected = RuleCalendar().opening((WORK,), before + 3600 * hours)
        assert calendar.opening((WORK,), before + 3600 * hours).is_open is expected.is_open


def schedule(cron: str, zone: str = "Europe/Berlin") -> ScheduleSpec:
    return ScheduleSpec("nightly", rules_of(cron), zone, "")


def times(wanted: ScheduleSpec, after: str, number: int, fold: int = 0) -> list[str]:
    """The next times as clocks on the wall show them."""
    calendar, moment, found = RuleCalendar(), at(after, fold=fold), []
    for _ in range(number):
        following = calendar.next_time(wanted, moment)
        assert following is not None
        assert following > moment
        moment = following
        found.append(datetime.fromtimestamp(moment, BERLIN).strftime("%m-%d %H:%M%z"))
    return found


def test_a_schedule_has_its_times_one_after_the_other() -> None:
    assert times(schedule("0 3 * * *"), "2026-11-25T02:59:59", 2) == ["11-25 03:00+0100", "11-26 03:00+0100"]
    assert times(schedule("0 3 * * *"), "2026-11-25T03:00", 1) == ["11-26 03:00+0100"]
    assert times(schedule("*/30 9-10 * * mon-fri"), "2026-11-27T09:45", 4) == [
        "11-27 10:00+0100",
        "11-27 10:30+0100",
        "11-30 09:00+0100",
        "11-30 09:30+0100",
    ]
    assert times(schedule("0 0 13 * fri"), "2026-11-10T00:00", 3) == [
        "11-13 00:00+0100",
        "11-20 00:00+0100",
        "11-27 00:00+0100",
    ]
    assert times(schedule("0 12 29 feb *"), "2026-11-10T00:00", 1) == ["02-29 12:00+0100"]


def test_a_time_that_is_skipped_in_spring_comes_an_hour_later() -> None:
    assert times(schedule("30 2 * * *"), "2026-03-28T12:00", 2) == ["03-29 03:30+0200", "03-30 02:30+0200"]
    assert times(schedule("*/30 * * * *"), "2026-03-29T01:00", 3) == [
        "03-29 01:30+0100",
        "03-29 03:00+0200",
        "03-29 03:30+0200",
    ]


def test_a_time_that_comes_twice_in_autumn_counts_once_and_hours_count_twice() -> None:
    assert times(schedule("30 2 * * *"), "2026-10-24T12:00", 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]
    assert times(schedule("*/30 * * * *"), "2026-10-25T01:30", 6) == [
        "10-25 02:00+0200",
        "10-25 02:30+0200",
        "10-25 02:00+0100",
        "10-25 02:30+0100",
        "10-25 03:00+0100",
        "10-25 03:30+0100",
    ]


def test_a_rule_of_ones_own_counts_from_its_start() -> None:
    fortnightly = ScheduleSpec("x", ("FREQ=WEEKLY;INTERVAL=2",), "Europe/Berlin", "2026-11-02T09:00:00")
    assert times(fortnightly, "2026-11-02T09:00", 2) == ["11-16 09:00+0100", "11-30 09:00+0100"]
    ended = ScheduleSpec("x", ("FREQ=DAILY;COUNT=2",), "Europe/Berlin", "2026-11-02T09:00:00")
    assert RuleCalendar().next_time(ended, at("2026-11-03T09:00")) is None
    broken = ScheduleSpec("x", ("FREQ=SOMETIMES",), "Europe/Berlin", "")
    with pytest.raises(TrimtabError, match="cannot be understood"):
        RuleCalendar().next_time(broken, 0.0)


def test_what_was_found_out_holds_only_as_long_as_it_does() -> None:
    calendar, nightly = RuleCalendar(), schedule("0 3 * * *")
    later = calendar.next_time(nightly, at("2026-11-25T12:00"))
    assert calendar.next_time(nightly, at("2026-11-25T13:00")) == later
    assert calendar.next_time(nightly, at("2026-11-24T12:00")) == at("2026-11-25T03:00")  # the clock was set back
    assert calendar.next_time(nightly, at("2026-11-26T03:00")) == at("2026-11-27T03:00")


FIELDS = [
    st.sampled_from(["*", "*/7", "0", "5,35", "20-40", "50-59/3"]),
    st.sampled_from(["*", "*/5", "0", "2", "1-4", "22,23"]),
    st.sampled_from(["*", "*/2", "1", "13,31", "28-30"]),
    st.sampled_from(["*", "mar", "10", "1-6"]),
    st.sampled_from(["*", "mon-fri", "7", "fri", "*/2"]),
]


@given(st.tuples(*FIELDS), st.integers(0, 525_600))
def test_cron_means_what_cron_means(fields: tuple[str, ...], minute: int) -> None:
    """Without daylight saving time, against a table of what each field allows."""
    after = at("2026-01-01T00:00", ZoneInfo("UTC")) + minute * 60.0
    found = RuleCalendar().next_time(schedule(" ".join(fields), "UTC"), after)
    assert found is not None
    assert found > after
    assert allows(fields, found)
    for earlier in range(int(after) + 60, min(int(found), int(after) + 60 * 1440 * 2), 60):
        assert not allows(fields, earlier)


def allows(fields: tuple[str, ...], moment: float) -> bool:
    """As the manual of cron says it."""
    then = datetime.fromtimestamp(moment, UTC)
    values = (then.minute, then.hour, then.day, then.month, then.isoweekday() % 7)
    hits = [_hits(field, value, index) for index, (field, value) in enumerate(zip(fields, values, strict=True))]
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    day = hits[2] or hits[4] if either else hits[2] and hits[4]
    return then.second == 0 and hits[0] and hits[1] and hits[3] and day


def _hits(field: str, value: int, index: int) -> bool:
    words = {"mar": "3", "mon-fri": "1-5", "fri": "5", "7": "0" if index == 4 else "7"}
    for piece in words.get(field, field).split(","):
        span, _, step = piece.partition("/")
        first, _, last = ("0-59" if span == "*" else span).partition("-")
        least = 1 if span == "*" and index in (2, 3) else int(first)
        if least <= value <= int(last or first) and (value - least) % int(step or 1) == 0:
            return True
    return False
