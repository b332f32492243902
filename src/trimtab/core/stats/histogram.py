"""Counts of durations in buckets that grow by 2 %.

A threshold that is a bucket's edge has an *exact* number of exceedances, which is all the tests need: they may use any
threshold as long as it was fixed before the data, so they fix it at an edge. Quantiles are right to 2 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

GROWTH = 1.02
_LOG_GROWTH = math.log(GROWTH)


def bucket_of(duration_us: float) -> int:
    """The bucket of a duration (microseconds): b covers [GROWTH**b, GROWTH**(b+1)); below 1 us is bucket 0."""
    if duration_us <= 1.0:
        return 0
    return int(math.log(duration_us) / _LOG_GROWTH)


def lower_edge_us(bucket: int) -> float:
    """The smallest duration (microseconds) in the bucket."""
    return GROWTH**bucket if bucket > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Histogram:
    """bucket -> number of durations."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def at_or_above(self, bucket: int) -> int:
        """How many durations were at least `lower_edge_us(bucket)`: exact."""
        return sum(count for index, count in self.counts.items() if index >= bucket)

    def minus(self, earlier: Histogram) -> Histogram:
        """What came since `earlier` (a reading of the same, cumulative histogram)."""
        before = earlier.counts
        return Histogram({i: more for i, n in self.counts.items() if (more := n - before.get(i, 0)) > 0})

    def plus(self, other: Histogram) -> Histogram:
        merged = dict(self.counts)
        for index, count in other.counts.items():
            merged[index] = merged.get(index, 0) + count
        return Histogram(merged)

    def quantile_bucket(self, q: float) -> int | None:
        """The first bucket above which at most a share 1-q lies; None when empty."""
        total = self.total
        if total == 0:
            return None
        need, seen = q * total, 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= need:
                return index + 1
        raise AssertionError("unreachable: counts sum to total")

    def quantile_ms(self, q: float) -> float | None:
        """The quantile in milliseconds (upper edge of its bucket, so at most 2 % too high); None when empty."""
        bucket = self.quantile_bucket(q)
        return None if bucket is None else lower_edge_us(bucket) / 1000.0
