"""When rollouts may begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trimtab.core.model.specification import WindowSpec


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a window is open, and until when that stays so (seconds since the epoch; None: for ever)."""

    is_open: bool
    until: float | None = None


class Calendar(Protocol):
    def opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        """Without windows it is always open. Raises `TrimtabError` for a rule that cannot be understood."""
        ...
