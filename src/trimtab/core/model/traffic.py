"""Routes, weights and what was read back from the data plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.errors import Problem
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.core.model.specification import LatencyMeasure, StickySpec
from trimtab.core.stats.histogram import Histogram


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one instance listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Backend:
    """A release and its instances, as the gateway sees them."""

    release: Digest
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where traffic goes: all to `stable`, but for the share that the lease `lease` grants to `candidate`."""

    environment: EnvironmentId
    listen: Endpoint
    stable: Backend
    candidate: Backend | None = None
    lease: str | None = None
    sticky: StickySpec | None = None
    measure: LatencyMeasure = "total"


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """What the data plane really holds for an environment.

    `candidate_weight_pct` is in force now (lease included); `problem` says why nothing can be read or served.
    """

    stable: Digest | None = None
    candidate: Digest | None = None
    lease: str | None = None
    candidate_weight_pct: float = 0.0
    endpoints: Mapping[Digest, tuple[Endpoint, ...]] = field(default_factory=dict)
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What one release did in one environment since the meter started (`epoch`): cumulative, never reset.

    `latency` holds every answered or abandoned request; `recent` only those of the last minutes.
    """

    epoch: str = ""
    requests: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)
    recent: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a release."""

    id: str
    release: Digest
    endpoint: Endpoint
    phase: str
    """starting | ready | unhealthy | backing_off | failed | stopped"""
    started_at: float = 0.0
    restarts: int = 0
    pid: int | None = None
    cpu_s: float = 0.0
    rss_bytes: int = 0
    log: str = ""
    """The name of the supervised process, by which its log can be read."""
    problem: Problem | None = None
