"""Whether a deployment window is open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a window is open, and until when that stays so (seconds since the epoch; None: for ever)."""

    is_open: bool
    until: float | None = None


ALWAYS = Opening(True)
