"""When rollouts may begin, and when schedules start runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trimtab.core.model.opening import Opening
from trimtab.core.model.specification import ScheduleSpec, WindowSpec

__all__ = ["Calendar", "Opening"]


class Calendar(Protocol):
    def opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        """Without windows it is always open. Raises `TrimtabError` for a rule that cannot be understood."""
        ...

    def next_time(self, schedule: ScheduleSpec, after: float) -> float | None:
        """The first time of the schedule after that moment (seconds since the epoch); None: there is none. Raises
        `TrimtabError` for a rule that cannot be understood."""
        ...
