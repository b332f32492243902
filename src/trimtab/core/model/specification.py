"""What a `trimtab.yaml` says, compiled: every default filled in, every unit in the name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NewerPolicy = Literal["latest", "queue", "cancel"]
"""What happens when a newer change meets one that is still on its way.

``latest``: it waits, and of several that wait only the newest goes on. ``queue``: all wait and go in order.
``cancel``: the one on its way is stopped and the newest goes on at once.
"""

LatencyMeasure = Literal["total", "first_byte"]


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One pipeline step: a shell command in the commit's files."""

    name: str
    run: str
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600.0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """How an instance of a release is started and known to be ready."""

    command: str
    port_env: str = "PORT"
    """The environment variable that tells an instance which port to listen on (127.0.0.1)."""
    health_path: str | None = None
    """Ready when GET on this path answers 2xx or 3xx; None: ready when the port accepts a connection."""
    health_timeout_s: float = 60.0
    """An instance that is not ready this long after its start has failed."""
    env: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    drain_timeout_s: float = 60.0
    """How long requests in flight may take to end before the instance is told to stop all the same."""
    stop_timeout_s: float = 10.0
    """From SIGTERM to SIGKILL."""


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """What goes into a release. Each part is a list of paths; `.` means every file Git tracks.

    A file belongs to the part that names it most closely. `model` is kept in the manifest as it is.
    """

    parts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"code": (".",)})
    model: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """`weight_pct` of the traffic for at least `hold_s` and until `requests` candidate requests were counted."""

    weight_pct: float
    hold_s: float = 10.0
    requests: int = 20


DEFAULT_STEPS = (CanaryStep(5.0, 15.0, 20), CanaryStep(25.0, 15.0, 50), CanaryStep(50.0, 15.0, 100))


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """How traffic moves to a new release. An instant strategy has no steps."""

    kind: Literal["instant", "canary"] = "canary"
    steps: tuple[CanaryStep, ...] = DEFAULT_STEPS
    deadline_s: float = 3600.0
    """A rollout that has not been promoted by then goes back to the stable release."""


@dataclass(frozen=True, slots=True)
class ErrorsSpec:
    """Failed requests (5xx, or no answer from the instance)."""

    margin_ratio: float = 1.5
    """Promotion needs evidence that the candidate fails less than this many times as often as the stable release..."""
    acceptable_pct: float = 1.0
    """...or that it fails on less than this share of requests. 0 leaves only the ratio."""


@dataclass(frozen=True, slots=True)
class LatencySpec:
    """Share of requests slower than what was the stable release's quantile."""

    quantiles: tuple[float, ...] = (0.5, 0.95)
    margin_ratio: float = 1.5
    """Promotion needs evidence that exceedances are less than this many times as frequent as on the stable release."""
    tolerance_pct: float = 10.0
    """A candidate's request counts as slower only beyond the quantile plus this share of it."""
    floor_ms: float = 5.0
    """...and only beyond the quantile plus this."""
    measure: LatencyMeasure = "total"


@dataclass(frozen=True, slots=True)
class AnalysisSpec:
    """What the verdict is made of. `None` switches a metric off; with neither, only holds and request counts decide."""

    errors: ErrorsSpec | None = field(default_factory=ErrorsSpec)
    latency: LatencySpec | None = field(default_factory=LatencySpec)
    false_rollback_pct: float = 1.0
    """Bound on the probability that a candidate that is no worse is rolled back, over the whole rollout."""
    false_promotion_pct: float = 5.0
    """Bound on the probability that a candidate at the margin is promoted, per metric."""


@dataclass(frozen=True, slots=True)
class StickySpec:
    """Keep a user on one arm: by a cookie that the gateway sets, or by a request header that carries the user."""

    kind: Literal["cookie", "header"]
    name: str


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """A named place with its address, strategy and analysis."""

    name: str
    port: int
    """Where the gateway listens for this environment."""
    host: str = "127.0.0.1"
    strategy: StrategySpec = field(default_factory=StrategySpec)
    analysis: AnalysisSpec = field(default_factory=AnalysisSpec)
    env: Mapping[str, str] = field(default_factory=dict)
    replicas: int | None = None
    sticky: StickySpec | None = None


@dataclass(frozen=True, slots=True)
class Specification:
    """One application's `trimtab.yaml` at one commit."""

    app: str
    service: ServiceSpec
    environments: tuple[EnvironmentSpec, ...]
    steps: tuple[StepSpec, ...] = ()
    release: ReleaseSpec = field(default_factory=ReleaseSpec)
    on_newer_change: NewerPolicy = "latest"

    def environment(self, name: str) -> EnvironmentSpec | None:
        return next((spec for spec in self.environments if spec.name == name), None)

    def after(self, name: str) -> str | None:
        """The environment that follows `name` on the way to production, if any."""
        names = [spec.name for spec in self.environments]
        if name not in names[:-1]:
            return None
        return names[names.index(name) + 1]
