"""Do decisions and actions get on?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab.adapters.store_sql.inspection import Overdue, Undone
from trimtab.app.doctor.place import Place
from trimtab.core.say import count, duration
from trimtab.views.findings import Finding

NAME = "engine"
OVERDUE_S = 30.0
"""A decision that waits for longer than this waits for something that does not come."""
OFTEN = 2
LONG_S = 3600.0


def look(place: Place) -> Iterator[Finding]:
    with place.inspect() as inspection:
        overdue, undone = inspection.overdue(place.now - OVERDUE_S), inspection.undone()
    yield from judge(overdue, undone, place.now, place.is_running)


def judge(overdue: Sequence[Overdue], undone: Sequence[Undone], now: float, controller_runs: bool) -> Iterator[Finding]:
    """While no controller runs, everything waits, which is no finding of its own."""
    if not controller_runs:
        waiting = f"{count(len(overdue), 'object')} and {count(len(undone), 'action')}"
        yield Finding(NAME, "note", f"Without a controller nothing gets on; {waiting} wait.", do="`trimtab up`")
        return
    elsewhere = [each for each in overdue if each.lease_until is not None and each.lease_until > now]
    stuck = [each for each in overdue if each not in elsewhere]
    if elsewhere:
        first = elsewhere[0]
        left = duration((first.lease_until or now) - now)
        what = f"{count(len(elsewhere), 'object')} wait, held by {first.owner} for another {left}."
        why = "Another controller holds them, or the clock was set back and the lease of a dead one looks new."
        yield Finding(NAME, "error", what, why, "wait until the lease is over; `trimtab doctor clock`", first.object)
    if stuck:
        first = stuck[0]
        late = f"{first.object} {_ago(first.wake_at, now)}"
        what = f"{count(len(stuck), 'object')} should have been decided long ago, {late}."
        why = "The controller is overloaded, or cannot read or store something."
        yield Finding(
            NAME, "error", what, why, "its log says why; `trimtab doctor controller database disk`", first.object
        )
    yield from _actions(undone, now)
    if not overdue:
        yield Finding(NAME, "ok", f"No decision is overdue; {count(len(undone), 'action')} under way.")


def _actions(undone: Sequence[Undone], now: float) -> Iterator[Finding]:
    for each in undone:
        if each.attempts >= OFTEN:
            what = f"{each.kind} for {each.object} failed {each.attempts} times, and is tried again."
            why = "It broke in a way that Trimtab does not know: a defect."
            yield Finding(NAME, "warning", what, why, "the controller's log has the details", each.object)
        elif now - each.due_at > LONG_S:
            what = f"{each.kind} for {each.object} has been under way since {_ago(each.due_at, now)}."
            why = "Retiring a release waits for its last requests; anything else should have ended."
            yield Finding(NAME, "note", what, why, "`trimtab status` shows what it waits for", each.object)


def _ago(at: float, now: float) -> str:
    return f"{duration(now - at)} ago"
