"""Numbers from elsewhere: what a metric of one's own says about each arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.errors import Problem
from trimtab.core.model.identity import ArmId


@dataclass(frozen=True, slots=True)
class ArmMeasure:
    """One arm's totals since the evidence began; they only grow. Of a ``score``, `scores` are counts by the score in
    per cent, rounded (0 to 100)."""

    bad: float = 0.0
    all: float = 0.0
    scores: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was read last of one metric, and how old the newest number in it is. `problem`: why there is nothing, or
    nothing new; the totals before it stay."""

    arms: Mapping[ArmId, ArmMeasure] = field(default_factory=dict)
    as_of: float = 0.0
    """When the newest of the numbers was true (seconds since the epoch); 0: never read."""
    problem: Problem | None = None
