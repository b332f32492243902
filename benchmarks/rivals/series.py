"""What a rival sees: counts by arm in buckets of time, and how its rollouts ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Arm:
    """Requests and failed ones, shape (rollouts, buckets)."""

    all: Array
    bad: Array

    def every(self, buckets: int) -> Arm:
        """The same in buckets that are so many times as long; what is over at the end is left out."""
        return Arm(_grouped(self.all, buckets), _grouped(self.bad, buckets))

    @property
    def error_pct(self) -> Array:
        """Per cent of the requests that failed; NaN where there were none."""
        pct: Array = np.divide(100.0 * self.bad, self.all, out=np.full(self.all.shape, np.nan), where=self.all > 0)
        return pct


@dataclass(frozen=True, slots=True)
class Series:
    """Traffic of many rollouts. `baseline`: fresh instances of the stable release with as much traffic as the
    candidate, for rules that are documented to compare with such."""

    bucket_s: float
    candidate: Arm
    stable: Arm
    baseline: Arm

    def every(self, interval_s: float) -> Series:
        buckets = round(interval_s / self.bucket_s)
        arms = (arm.every(buckets) for arm in (self.candidate, self.stable, self.baseline))
        return Series(self.bucket_s * buckets, *arms)

    @property
    def rollouts(self) -> int:
        return int(self.candidate.all.shape[0])


class Rule(Protocol):
    """A rival with its settings."""

    @property
    def name(self) -> str: ...

    def rolled_back_s(self, series: Series) -> Array:
        """When each rollout is rolled back (seconds since its first request); infinity: not while it is watched."""
        ...

    @property
    def promotes_without_data(self) -> bool:
        """Whether a rollout whose candidate never gets a request is promoted."""
        ...


def _grouped(values: Array, buckets: int) -> Array:
    rollouts, length = values.shape
    whole = length // buckets
    grouped: Array = values[:, : whole * buckets].reshape(rollouts, whole, buckets).sum(axis=2)
    return grouped
