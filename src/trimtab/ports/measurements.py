"""Metrics of one's own: numbers from Prometheus, a database, a JSON endpoint or a vendor's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trimtab.core.model.identity import ArmId, EnvironmentId, ObjectId
from trimtab.core.model.measure import Measurement
from trimtab.core.model.specification import MetricSpec


@dataclass(frozen=True, slots=True)
class Watch:
    """What is to be measured for one rollout."""

    rollout: ObjectId
    environment: EnvironmentId
    metrics: Sequence[MetricSpec]
    candidate: ArmId
    stable: ArmId
    since: float
    """When the evidence began (seconds since the epoch)."""


class Measurements(Protocol):
    """Reads metrics in the background, each every `every_s` and with a time limit of its own: nobody waits for one that
    hangs, and one that floods is cut off."""

    async def latest(self, watch: Watch) -> Mapping[str, Measurement]:
        """What was read last, by metric, at once; the first call begins the reading. A metric that was never read has
        a Measurement without arms. Totals never fall: numbers that go back, are negative, NaN or no numbers at all are
        a Problem, and the totals before them stay."""
        ...

    async def check(self, watch: Watch) -> Mapping[str, Measurement]:
        """Read every metric once, now, and wait for it (at most its time limit)."""
        ...

    def forget(self, rollout: ObjectId) -> None:
        """Stop reading for the rollout. Idempotent."""
        ...

    async def close(self) -> None: ...
