"""What a `trimtab.yaml` says, compiled: every default filled in, every unit in the name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trimtab.core.model.pipeline import StepSpec as StepSpec
from trimtab.core.model.strategy import StrategySpec

NewerPolicy = Literal["latest", "queue", "cancel"]
"""What happens when a newer change meets one that is still on its way.

``latest``: it waits, and of several that wait only the newest goes on. ``queue``: all wait and go in order.
``cancel``: the one on its way is stopped and the newest goes on at once.
"""

LatencyMeasure = Literal["total", "first_byte"]


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
class PromptSpec:
    """A template of the release. `variables` None: those that it uses; the release's manifest names them."""

    file: str
    variables: tuple[str, ...] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """What goes into a release. Each part is a list of paths; `.` means every file Git tracks.

    A file belongs to the part that names it most closely. Whatever `prompts`, `model`, `config_file` and `flags` name
    is in one of the parts.
    """

    parts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"code": (".",)})
    model: Mapping[str, Any] | None = None
    """``provider``, ``name``, ``revision``, ``url``, ``file``, ``parameters``, ``fallback`` (a list of the same), as
    far as they are given. What older versions have read may have other keys."""
    prompts: Mapping[str, PromptSpec] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    """Plain data that applications read."""
    config_file: str = ""
    """...or the file that has them."""
    flags: str = ""
    """A file of flagd's format."""
    hot: tuple[str, ...] = ()
    """Parts of which a change needs no restart: see `core.model.program`."""

    @property
    def model_files(self) -> tuple[str, ...]:
        """The paths of the model and of those it falls back to."""
        return model_files(self.model)


def model_files(model: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The paths that a model and those it falls back to are read from."""
    model = model or {}
    fallback = model.get("fallback")
    choices = [model, *(fallback if isinstance(fallback, list | tuple) else ())]
    files = [choice.get("file") for choice in choices if isinstance(choice, Mapping)]
    return tuple(dict.fromkeys(file for file in files if isinstance(file, str) and file))


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
class SourceSpec:
    """Where the numbers of a metric come from.

    `queries` are texts with ``$release`` (the arm's digest, short), ``$arm`` (``candidate`` or ``stable``),
    ``$environment``, ``$app``, ``$since`` and ``$now`` (seconds since 1970) and ``$window`` (seconds since the evidence
    began), by what they give: ``bad``, ``all``, ``scores``. Each gives a total since ``$since``, or any counter that
    only grows: what counts is what it has gained since the evidence began.
    """

    kind: Literal["prometheus", "sql", "json", "datadog", "cloudwatch"]
    url: str
    queries: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Values may name variables of the environment that Trimtab runs in: ``Bearer ${TOKEN}``."""
    every_s: float = 10.0
    timeout_s: float = 10.0
    fresh_s: float = 60.0
    """Numbers that are older than this are no evidence: the rollout holds until there are newer ones."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric of one's own, judged like the gateway's.

    ``events``: `bad` of `all` (refusals of answers). ``score``: a number between 0 and 1 for each judged answer, more
    is better. ``rate``: `bad` events per second (refunds), compared by the arms' shares of the traffic.
    """

    name: str
    kind: Literal["events", "score", "rate"]
    source: SourceSpec
    margin_ratio: float = 1.5
    """``events`` and ``rate``: promotion needs evidence of fewer than this many times the stable release's..."""
    acceptable_pct: float = 0.0
    """...or, for ``events``, of less than this share. 0 leaves only the ratio."""
    margin: float = 0.03
    """``score``: promotion needs evidence of a mean that is less than this below the stable release's."""


@dataclass(frozen=True, slots=True)
class AnalysisSpec:
    """What the verdict is made of. `None` switches a metric off; with none, only holds and request counts decide."""

    errors: ErrorsSpec | None = field(default_factory=ErrorsSpec)
    latency: LatencySpec | None = field(default_factory=LatencySpec)
    metrics: tuple[MetricSpec, ...] = ()
    unit: Literal["request", "user"] = "request"
    """What is counted. ``user``: each user has at most one bad event per metric, and only those without one are
    exposed; needed where a user stays on one arm, for their requests depend on each other."""
    split_check: bool = True
    """Whether the shares that the arms really got are compared with those they should have got."""
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
class WindowSpec:
    """Recurring times at which rollouts may begin. `rule` is an RRULE (RFC 5545), `start` its DTSTART
    (``2026-01-05T09:00:00``), `zone` an IANA name; each occurrence is open for `for_s`."""

    rule: str
    start: str
    for_s: float
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class FreezeSpec:
    """A time in which no rollout begins by itself; `begin` and `end` as seconds since the epoch."""

    begin: float
    end: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """How many requests may fail: 100 % - `objective_pct` of those of the last `days`. When they are used up, no
    rollout begins by itself."""

    objective_pct: float
    days: int = 28


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """Environments of several applications whose rollouts move step by step together, and return together.

    `members` (``app/environment``) are waited for before the first step, at most `gather_s`; a member that has no
    rollout by then is not part of the move.
    """

    name: str
    members: tuple[str, ...]
    gather_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RequireSpec:
    """What must be attested of a release, signed by a trusted key, before anything of it starts here."""

    provenance: bool = True
    """Whether anything must be attested at all."""
    gates: tuple[str, ...] = ()
    """Steps that must have passed in the run that the provenance names."""
    max_age_s: float | None = None
    """How long ago that run may have ended when the rollout begins."""
    builders: tuple[str, ...] = ()
    """Who may have made it (`builder.id`). Empty: whoever has a trusted key."""


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
    windows: tuple[WindowSpec, ...] = ()
    """When rollouts may begin by themselves. Empty: at any time."""
    freezes: tuple[FreezeSpec, ...] = ()
    budget: BudgetSpec | None = None
    group: GroupSpec | None = None
    require: RequireSpec = field(default_factory=RequireSpec)


@dataclass(frozen=True, slots=True)
class PreviewsSpec:
    """An environment for each pull request that passes, for as long as it is open."""

    first_port: int = 9000
    last_port: int = 9019
    """Each has a port of its own, from the first one to this one."""
    host: str = "127.0.0.1"
    url: str = ""
    """What its address is outside, with ``{port}`` or ``{name}`` in it. Empty: that of its port."""
    keep_s: float = 48 * 3600.0
    """How long one stays after its newest head that passed."""
    env: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    forks: bool = False
    """Whether those of forks get one: what they bring runs with the rights of all instances."""


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """When the pipeline runs for the deployed branch's head without anybody having changed something: whenever one of
    the recurrence rules (RFC 5545) says so, by the clocks of a time zone."""

    name: str
    rules: tuple[str, ...] = ()
    timezone: str = "UTC"
    start: str = "2024-01-01T00:00:00"
    """When the rules begin, in the time zone; empty: that makes no difference to them."""
    steps: tuple[str, ...] = ()
    """Only these and what they need. Empty: all."""
    deploy: bool = False


@dataclass(frozen=True, slots=True)
class Specification:
    """One application's `trimtab.yaml` at one commit."""

    app: str
    service: ServiceSpec
    environments: tuple[EnvironmentSpec, ...]
    steps: tuple[StepSpec, ...] = ()
    release: ReleaseSpec = field(default_factory=ReleaseSpec)
    on_newer_change: NewerPolicy = "latest"
    parallel: int = 0
    """How many steps of a run run side by side; 0: as many as the machine has processors."""
    previews: PreviewsSpec | None = None
    schedules: tuple[ScheduleSpec, ...] = ()

    def environment(self, name: str) -> EnvironmentSpec | None:
        return next((spec for spec in self.environments if spec.name == name), None)

    def after(self, name: str) -> str | None:
        """The environment that follows `name` on the way to production, if any."""
        names = [spec.name for spec in self.environments]
        if name not in names[:-1]:
            return None
        return names[names.index(name) + 1]
