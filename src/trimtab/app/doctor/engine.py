"""Do decisions and actions get on?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab.adapters.store_sql.inspection import Overdue, Undone
from trimtab.app.doctor.place import Place
from trimtab.core.errors import Problem
from trimtab.core.model.facts import ActionFailed, Recorded
from trimtab.core.say import count, duration
from trimtab.views.findings import Finding

NAME = "engine"
OVERDUE_S = 30.0
"""A decision that waits for longer than this waits for something that does not come."""
OFTEN = 2
LONG_S = 3600.0
OFTEN_FAILED = 3
_LATE_S = 600.0
_NEWEST = 200


def look(place: Place) -> Iterator[Finding]:
    with place.inspect() as inspection:
        overdue, undone = inspection.overdue(place.now - OVERDUE_S), inspection.undone()
        failed = inspection.facts(kinds=("ActionFailed",), limit=_NEWEST, newest_first=True)
    yield from judge(overdue, undone, place.now, place.is_running)
    yield from judge_failures(failed, place.now)


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


def judge_failures(failed: Sequence[Recorded], now: float) -> Iterator[Finding]:
    """Actions that failed again and again of late, each with its last reason. `failed`: newest first."""
    of_late: dict[tuple[str, str], list[Problem]] = {}
    for recorded in failed:
        if isinstance(recorded.fact, ActionFailed) and now - recorded.at < _LATE_S:
            of_late.setdefault((recorded.object, recorded.fact.kind), []).append(recorded.fact.problem)
    for (object_id, kind), problems in of_late.items():
        if len(problems) >= OFTEN_FAILED:
            what = f"{kind} for {object_id} failed {len(problems)} times within {duration(_LATE_S)}."
            why = f"The last time: {problems[0].message.rstrip('.')}."
            yield Finding(NAME, "warning", what, why, problems[0].hint or "`trimtab history --why`", object_id)


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
