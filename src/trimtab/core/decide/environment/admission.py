"""May a rollout begin by itself now? What people ask for, repairs and returns are not asked about."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.decide.environment import budget
from trimtab.core.decide.environment.state import EnvironmentReading, EnvironmentState
from trimtab.core.model.facts import HoldCause
from trimtab.core.model.identity import short
from trimtab.core.model.specification import EnvironmentSpec, WindowSpec
from trimtab.core.say import duration


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing begins by itself now; `until` (seconds since the epoch) when that is known. Without a reason: it is
    not known yet whether anything does."""

    cause: HoldCause
    reason: str
    until: float | None = None


def rules(state: EnvironmentState) -> EnvironmentSpec | None:
    """The settings that decide when: those of the release that waits first, for they are the newest."""
    specification = state.waiting[0].specification if state.waiting else state.specification
    return specification.environment(state.environment.name) if specification else None


def windows_to_ask(state: EnvironmentState) -> tuple[WindowSpec, ...]:
    """The windows that the next reading should be about."""
    place = rules(state)
    return place.windows if place else ()


def hold(state: EnvironmentState, reading: EnvironmentReading, now: float) -> Hold | None:
    """What keeps the release that waits first from being deployed now."""
    place = rules(state)
    if state.pinned is not None:
        return Hold("pin", f"{state.environment} is pinned to {short(state.pinned)}; `trimtab unpin` lets it go on")
    if state.frozen:
        return Hold("freeze", f"{state.environment} is frozen by hand; `trimtab thaw` ends it", state.frozen_until)
    if place is None:
        return None
    for freeze in place.freezes:
        if freeze.begin <= now < freeze.end:
            why = f" ({freeze.reason})" if freeze.reason else ""
            return Hold("freeze", f"a freeze{why} ends in {duration(freeze.end - now)}", freeze.end)
    if place.budget is not None and (spent := budget.used_up(state.spending, place.budget, now)):
        return Hold("budget", spent)
    return _outside_windows(place, reading, now)


def _outside_windows(place: EnvironmentSpec, reading: EnvironmentReading, now: float) -> Hold | None:
    if not place.windows:
        return None
    if reading.windows != place.windows:
        return Hold("window", "")
    if reading.opening.is_open:
        return None
    until = reading.opening.until
    when = f"the next one opens in {duration(until - now)}" if until is not None else "no further one ever opens"
    return Hold("window", f"no deployment window is open; {when}", until)
