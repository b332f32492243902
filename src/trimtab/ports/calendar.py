"""When rollouts may begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trimtab.core.model.opening import Opening
from trimtab.core.model.specification import WindowSpec

__all__ = ["Calendar", "Opening"]


class Calendar(Protocol):
    def opening(self, windows: Sequence[WindowSpec], now: float) -> Opening:
        """Without windows it is always open. Raises `TrimtabError` for a rule that cannot be understood."""
        ...
