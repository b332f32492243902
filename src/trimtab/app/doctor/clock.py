"""Is the clock right as far as one machine can tell?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trimtab.app.doctor.place import Place
from trimtab.core.errors import TrimtabError
from trimtab.core.say import duration
from trimtab.engine.replicas import LEASE_S
from trimtab.views.findings import Finding

NAME = "clock"
SLACK_S = 2.0
"""Facts are recorded by several processes, and the clock may be slewed."""
_WATCH_S = 0.4
_JUMP_S = 0.1
_SET = "set the clock, and see that it is kept by NTP (`timedatectl`)"


@dataclass(frozen=True, slots=True)
class Clock:
    """What was seen. Moments in seconds since the epoch."""

    now: float
    moments: Sequence[float] = ()
    """When the newest facts were recorded, in their order."""
    leased_until: float | None = None
    file_at: float | None = None
    """What the file system calls now."""
    jumped_s: float = 0.0
    """How much further than time the clock went while it was watched."""


def look(place: Place) -> Iterator[Finding]:
    jumped_s = _watch()
    moments: Sequence[float] = ()
    leased_until = None
    try:
        with place.inspect() as inspection:
            moments, leased_until = inspection.moments(), inspection.leased_until()
    except TrimtabError:
        pass  # that the database cannot be read is said by its own check
    yield from judge(Clock(time.time(), moments, leased_until, _file_time(place), jumped_s))


def judge(seen: Clock) -> Iterator[Finding]:
    found = list(_judge(seen))
    yield from found
    if not any(finding.is_wrong for finding in found):
        yield Finding(NAME, "ok", "The clock agrees with the newest fact and with the file system.")


def _judge(seen: Clock) -> Iterator[Finding]:
    ahead_s = max(seen.moments, default=seen.now) - seen.now
    if ahead_s > SLACK_S:
        what = f"The clock was set back: the newest fact was recorded {duration(ahead_s)} from now."
        why = "Windows and pauses last longer by that. (Of several machines one may be ahead of the others.)"
        yield Finding(NAME, "error", what, why, _SET)
    elif (back := _steps_back(seen.moments)) is not None:
        ago_s, by_s = seen.now - back[0], back[1]
        what = f"The clock was set back by {duration(by_s)}, {duration(max(0.0, ago_s))} ago."
        why = "The history is out of order there; nothing else came of it."
        yield Finding(NAME, "note", what, why, "see that the clock is kept by NTP (`timedatectl`)")
    leased_s = (seen.leased_until or seen.now) - seen.now
    if leased_s > LEASE_S + SLACK_S:
        what = f"A lease runs for another {duration(leased_s)}, and none is ever taken for more than {LEASE_S:g} s."
        why = "The clock was set back since; another controller could not take over until then."
        yield Finding(NAME, "error", what, why, _SET)
    if seen.file_at is not None and abs(seen.file_at - seen.now) > SLACK_S:
        apart = duration(abs(seen.file_at - seen.now))
        what = f"The clock and the file system are {apart} apart."
        yield Finding(NAME, "warning", what, "The folder is on another machine with another clock.", _SET)
    if abs(seen.jumped_s) > _JUMP_S:
        what = f"The clock jumped by {seen.jumped_s:+.1f} s while it was watched for {_WATCH_S:g} s."
        yield Finding(NAME, "warning", what, "Something sets it again and again.", _SET)


def _steps_back(moments: Sequence[float]) -> tuple[float, float] | None:
    """When the clock was last set back, and by how much."""
    for before, after in reversed(list(pairwise(moments))):
        if before - after > SLACK_S:
            return after, before - after
    return None


def _watch() -> float:
    wall, steady = time.time(), time.monotonic()
    time.sleep(_WATCH_S)
    return (time.time() - wall) - (time.monotonic() - steady)


def _file_time(place: Place) -> float | None:
    """The time that a new file gets: one without a name, which leaves nothing behind. None: it cannot be told."""
    try:
        handle = os.open(place.home, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError:
        return None
    try:
        return os.fstat(handle).st_mtime
    finally:
        os.close(handle)
