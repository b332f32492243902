"""Which kind of environment is decided about."""

from __future__ import annotations

from trimtab.core.decide.environment.machine import Work
from trimtab.core.decide.environment.preview import PreviewWork
from trimtab.core.decide.environment.state import EnvironmentReading, EnvironmentState
from trimtab.core.model.decision import Decision
from trimtab.core.model.facts import Recorded


def decide_environment(
    state: EnvironmentState, facts: tuple[Recorded, ...], reading: EnvironmentReading, now: float
) -> Decision[EnvironmentState]:
    """The next move of an environment, with its reason."""
    kind = PreviewWork if state.environment.is_preview else Work
    return kind(state, reading, now).decide(facts)
