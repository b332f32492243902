"""Routes, weights and what was read back from the data plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.errors import Problem
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.specification import LatencyMeasure, StickySpec
from trimtab.core.model.strategy import MirrorSpec, Segment
from trimtab.core.stats.histogram import Histogram


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one instance listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Backend:
    """An arm and its instances, as the gateway sees them. `draining` ones finish what they have and get nothing new."""

    arm: ArmId
    endpoints: tuple[Endpoint, ...]
    draining: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Where traffic goes: all to `stable`, but for what the lease `lease` grants to the candidate and the others.

    Only requests of `segments` take part in that (empty: all do). With `mirror`, and as far as the lease grants it,
    copies of the stable release's requests go to the candidate, whose answers nobody gets.
    """

    environment: EnvironmentId
    listen: Endpoint
    stable: Backend
    candidate: Backend | None = None
    lease: str | None = None
    sticky: StickySpec | None = None
    measure: LatencyMeasure = "total"
    others: tuple[Backend, ...] = ()
    """Further arms of an experiment."""
    segments: tuple[Segment, ...] = ()
    mirror: MirrorSpec | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What a lease grants, in per cent of those who take part; `mirror_pct` is of the stable arm's requests."""

    candidate_pct: float = 0.0
    others_pct: Mapping[ArmId, float] = field(default_factory=dict)
    mirror_pct: float = 0.0

    @property
    def total_pct(self) -> float:
        """What the stable arm does not get."""
        return self.candidate_pct + sum(self.others_pct.values())

    def is_close_to(self, other: Share) -> bool:
        """The same within the gateway's resolution of 0.01 %."""
        names = self.others_pct.keys() | other.others_pct.keys()
        pairs = [(self.others_pct.get(name, 0.0), other.others_pct.get(name, 0.0)) for name in names]
        pairs += [(self.candidate_pct, other.candidate_pct), (self.mirror_pct, other.mirror_pct)]
        return all(abs(mine - theirs) < 0.011 for mine, theirs in pairs)


NO_SHARE = Share()


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """What the data plane really holds for an environment.

    `share` is in force now (lease included) on every gateway; `problem` says why nothing can be read or served.
    """

    stable: ArmId | None = None
    candidate: ArmId | None = None
    lease: str | None = None
    share: Share = NO_SHARE
    endpoints: Mapping[ArmId, tuple[Endpoint, ...]] = field(default_factory=dict)
    """Without those that drain."""
    problem: Problem | None = None
    segments: tuple[Segment, ...] = ()
    mirror: MirrorSpec | None = None


@dataclass(frozen=True, slots=True)
class UserCounts:
    """What the users of one arm did, each with at most one bad event per metric. Cumulative.

    A user is *exposed* once in each second in which a request of theirs ended, until their first bad event, on
    whatever arm; from then on they are left out on all arms. So a user whose every request fails is one failure.

    For latency the bad event depends on a threshold that is chosen later, so three histograms are kept over the
    slowest bucket that a user has shown so far: `exposed_by_slowest` when they were exposed, and `slowest_before` and
    `slowest_after` each time it grew. For a threshold T: exposures = those of `exposed_by_slowest` below T, first bad
    events = `slowest_after` at or above T minus `slowest_before` at or above T.
    """

    exposed: int = 0
    failed: int = 0
    exposed_by_slowest: Histogram = field(default_factory=Histogram)
    slowest_before: Histogram = field(default_factory=Histogram)
    slowest_after: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What one arm did in one environment since the meter started (`epoch`): cumulative, never reset.

    Only requests that were shared out count, not those that chose an arm by header. `latency` holds every answered or
    abandoned request; `recent` only those of the last minutes.
    """

    epoch: str = ""
    requests: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)
    recent: Histogram = field(default_factory=Histogram)
    users: UserCounts = field(default_factory=UserCounts)
    """Only with a sticky route."""
    arrivals: Mapping[int, int] = field(default_factory=dict)
    """For the last ten minutes: how many requests *began* (with a sticky route: users came first) in each slot of
    ARRIVAL_SLOT_S, by the slot's number (seconds since the epoch // ARRIVAL_SLOT_S). Counted when they end."""


ARRIVAL_SLOT_S = 10


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Mirrored requests of which both answers are known. Cumulative; `epoch` as in ArmCounts."""

    epoch: str = ""
    compared: int = 0
    different: int = 0
    alike: Mapping[int, int] = field(default_factory=dict)
    """With ``similar``: how many pairs were alike by so many per cent."""
    examples: tuple[str, ...] = ()
    """The newest differences, in words, at most five."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a release."""

    id: str
    release: ArmId
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
