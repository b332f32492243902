"""Latency as counts: which requests are slow is fixed before the data that are judged by it.

A threshold is the edge of a bucket at a quantile of what the stable release did *before*: from its history, or else
from the first requests of the rollout, which then are not judged by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trimtab.core.model.specification import LatencySpec
from trimtab.core.model.traffic import UserCounts
from trimtab.core.stats.eprocess import Counts
from trimtab.core.stats.histogram import Histogram, bucket_of, lower_edge_us


@dataclass(frozen=True, slots=True)
class Threshold:
    """Buckets from which on a request is slow."""

    stable: int
    candidate: int

    @property
    def stable_ms(self) -> float:
        return lower_edge_us(self.stable) / 1000.0

    @property
    def candidate_ms(self) -> float:
        return lower_edge_us(self.candidate) / 1000.0


def quantile_name(quantile: float) -> str:
    """``latency p95``, ``latency p99.9``."""
    return f"latency p{quantile * 100:g}"


def threshold(spec: LatencySpec, history: Histogram, quantile: float) -> Threshold | None:
    """The threshold at the quantile; None while the history is too short to know it."""
    if history.total < max(100, math.ceil(10.0 / (1.0 - quantile))):
        return None
    stable = history.quantile_bucket(quantile)
    assert stable is not None
    edge_us = lower_edge_us(stable)
    slow_us = max(edge_us * (1.0 + spec.tolerance_pct / 100.0), edge_us + spec.floor_ms * 1000.0)
    return Threshold(stable, max(stable, bucket_of(slow_us) + 1))


def slow_requests(limits: Threshold, candidate: Histogram, stable: Histogram) -> Counts:
    """Requests, and how many of them were slow."""
    return Counts(
        candidate.total,
        candidate.at_or_above(limits.candidate),
        stable.total,
        stable.at_or_above(limits.stable),
    )


def slow_users(limits: Threshold, candidate: UserCounts, stable: UserCounts) -> Counts:
    """Users who had not been slowed down yet, and how many of them were for the first time."""
    mine, theirs = _first_slow(candidate, limits.candidate), _first_slow(stable, limits.stable)
    return Counts(mine[0], mine[1], theirs[0], theirs[1])


def _first_slow(users: UserCounts, bucket: int) -> tuple[int, int]:
    exposed = users.exposed_by_slowest.total - users.exposed_by_slowest.at_or_above(bucket)
    first = users.slowest_after.at_or_above(bucket) - users.slowest_before.at_or_above(bucket)
    return max(exposed, first), max(0, first)
