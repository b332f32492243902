"""Deployment windows and schedules by the calendar: RFC 5545 rules in time zones, with their daylight saving time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rruleset, rrulestr

from trimtab.core.errors import failure
from trimtab.core.model.opening import ALWAYS, Opening
from trimtab.core.model.specification import ScheduleSpec, WindowSpec

MOST_JOINTS = 30
"""Occurrences that follow each other without a gap are joined up to here; the end of the last one is looked at anew."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out, and from when on it holds."""

    since: float
    opening: Opening


@dataclass(slots=True)
class RuleCalendar:
    """The port Calendar. What was found out for some windows is kept for as long as it holds: a rule that began years
    ago is not counted through at each look."""

    _known: dict[tuple[WindowSpec, ...], _Known] = field(default_factory=dict)
    _times: dict[ScheduleSpec, tuple[float, float | None]] = field(default_factory=dict)
    """For each schedule a moment, and the first time after it."""

    def opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        """Without windows it is always open. Raises `TrimtabError` for a rule that cannot be understood."""
        asked = tuple(windows)
        if not asked:
            return ALWAYS
        known = self._known.get(asked)
        if known is not None and known.since <= now and (known.opening.until or float("inf")) > now:
            return known.opening
        try:
            found = _opening(asked, now)
        except (TypeError, ValueError, OverflowError) as error:
            raise failure("window-rule", f"a window cannot be worked out: {error}", "see `windows`") from None
        self._known[asked] = _Known(now, found)
        return found

    def next_time(self, schedule: ScheduleSpec, after: float) -> float | None:
        """As the port says. A time that clocks skip in spring is as much later as they are put forward. One that comes
        twice in autumn counts once; with rules that are HOURLY, which count hours and not times of day, twice."""
        known = self._times.get(schedule)
        if known is not None and known[0] <= after and (known[1] is None or after < known[1]):
            return known[1]
        try:
            found = [_next_of(rule, schedule, after) for rule in schedule.rules]
        except (TypeError, ValueError, OverflowError) as error:
            said = f"schedule {schedule.name} cannot be worked out: {error}"
            raise failure("window-rule", said, "see `schedules`") from None
        next_time = min((time for time in found if time is not None), default=None)
        self._times[schedule] = (after, next_time)
        return next_time


def _next_of(rule: str, schedule: ScheduleSpec, after: float) -> float | None:
    zone = _zone(schedule.timezone)
    # Far enough back that neither clocks that are put forward nor ones that are put back lose a time.
    begin = _wall(after, zone) - timedelta(hours=3)
    start = schedule.start or begin.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
    found: list[float] = []
    for wall in _rule(rule, start).xafter(begin, inc=True):
        first = _epoch_s(wall, zone)
        both = (first, wall.replace(tzinfo=zone, fold=1).timestamp()) if rule.startswith("FREQ=HOURLY") else (first,)
        found += [time for time in both if time > after]
        if first > after:
            break
    return min(found, default=None)


def _opening(windows: tuple[WindowSpec, ...], now: float) -> Opening:
    end = now
    for _ in range(MOST_JOINTS):
        later = max((_open_until(window, end) for window in windows), default=end)
        if later <= end:
            break
        end = later
    if end > now:
        return Opening(is_open=True, until=end)
    starts = [start for window in windows if (start := _next_start(window, now)) is not None]
    return Opening(is_open=False, until=min(starts, default=None))


def _open_until(window: WindowSpec, at: float) -> float:
    """When the occurrence that is open at that moment ends; the moment itself if none is."""
    # All are equally long, so the one that began last ends last.
    return max((start + window.for_s for start in _starts_near(window, at) if start <= at), default=at)


def _next_start(window: WindowSpec, at: float) -> float | None:
    return min((start for start in _starts_near(window, at) if start > at), default=None)


def _starts_near(window: WindowSpec, at: float) -> list[float]:
    """The last start by the clock on the wall and the next one. Where clocks are put forward or back, either may be
    on the other side of the moment."""
    zone, rule = _zone(window.zone), _rule(window.rule, window.start)
    wall = _wall(at, zone)
    return [_epoch_s(start, zone) for start in (rule.before(wall, inc=True), rule.after(wall)) if start is not None]


def _wall(at: float, zone: ZoneInfo) -> datetime:
    """What clocks on the wall show: rules are about that."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None)


def _epoch_s(wall: datetime, zone: ZoneInfo) -> float:
    """Seconds since the epoch. A time that clocks skip in spring is as much later as they are put forward."""
    return wall.replace(tzinfo=zone).timestamp()


@lru_cache(maxsize=256)
def _rule(rule: str, start: str) -> rrule | rruleset:
    try:
        # Without the cache each look counts all occurrences through once more.
        return rrulestr(rule, dtstart=datetime.fromisoformat(start), cache=True)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        hint = "write it as `FREQ=WEEKLY;BYDAY=MO,TU` (RFC 5545)"
        raise failure("window-rule", f"the rule cannot be understood: {error}", hint, rule) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise failure("window-zone", "there is no such time zone", "for example `Europe/Berlin`", name) from None
