"""The port Measurements in memory: numbers are what the test says they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trimtab.core.errors import Problem
from trimtab.core.model.identity import ArmId, ObjectId
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.ports.clock import Clock
from trimtab.ports.measurements import Watch


@dataclass(slots=True)
class MemoryMeasurements:
    """`tell` gives a metric's totals; while `silent` is set nothing newer than before is known, for that reason."""

    clock: Clock
    silent: Problem | None = None
    watched: set[ObjectId] = field(default_factory=set)
    _known: dict[str, Measurement] = field(default_factory=dict)

    def tell(self, metric: str, arms: Mapping[ArmId, ArmMeasure]) -> None:
        """The metric's totals as of now."""
        self._known[metric] = Measurement(dict(arms), self.clock.now())

    async def latest(self, watch: Watch) -> Mapping[str, Measurement]:
        self.watched.add(watch.rollout)
        return {metric.name: self._of(metric.name) for metric in watch.metrics}

    async def check(self, watch: Watch) -> Mapping[str, Measurement]:
        return {metric.name: self._of(metric.name) for metric in watch.metrics}

    def forget(self, rollout: ObjectId) -> None:
        self.watched.discard(rollout)

    async def close(self) -> None:
        self.watched.clear()

    def _of(self, metric: str) -> Measurement:
        return replace(self._known.get(metric, Measurement()), problem=self.silent)
