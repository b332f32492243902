"""What people and programs are shown. The same objects feed API, CLI and, later, web; all are plain data.

Times are seconds since the epoch (UTC), durations seconds, shares per cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.errors import Problem
from trimtab.core.model.facts import Change, Goal, PullRequest
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import DocumentCount
from trimtab.core.model.report import StepReport
from trimtab.core.model.strategy import RolloutStep


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret that steps can have from Trimtab itself. Nobody is shown its value."""

    name: str
    place: str
    set_at: float | None = None
    """None: that is not known."""


@dataclass(frozen=True, slots=True)
class StepView:
    name: str
    status: str
    """waiting | running | passed | cached | failed | timed_out | cancelled | lost | skipped | left_out"""
    attempt: int = 0
    started_at: float | None = None
    duration_s: float | None = None
    detail: str = ""
    process: str = ""
    report: StepReport | None = None
    """What its tools said; of a cached step, what they said in the run that it was taken from."""
    documents: DocumentCount | None = None
    """Of a step that works document by document."""


@dataclass(frozen=True, slots=True)
class PreviewView:
    """What is to be known of an environment that is a preview."""

    pull_request: PullRequest
    run: int
    """That its newest release comes from."""
    url: str
    status: str
    """starting | serving | failed | closing"""
    since: float
    """When it was opened first."""
    until: float
    """When it goes away by itself, unless there is a newer head that passes."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    app: str
    number: int
    change: Change
    status: str
    """running | passed | failed | invalid | superseded | cancelled | lost"""
    reason: str
    started_at: float
    duration_s: float | None = None
    release: Digest | None = None
    steps: tuple[StepView, ...] = ()
    pull_request: PullRequest | None = None
    """What the run is of, if it is not of the deployed branch: it deploys nothing."""
    again_of: int | None = None
    """The run whose results it took over, as far as they were there and not wanted afresh."""
    preview: PreviewView | None = None
    """The preview that has the run's release now."""
    schedule: str = ""
    """The schedule that started it; empty: a change did."""
    until: Goal = "deploy"
    """How far it goes when it passes."""
    no_preview: str = ""
    """Why its release had to wait for one."""


@dataclass(frozen=True, slots=True)
class ArmView:
    """What one arm did since the rollout's first step was in force."""

    requests: int = 0
    errors: int = 0
    p95_ms: float | None = None
    """Of the last tick that had requests."""


@dataclass(frozen=True, slots=True)
class RolloutView:
    app: str
    environment: str
    number: int
    release: Digest
    stable: Digest | None
    strategy: str
    status: str
    """starting | shifting | observing | paused | promoting | returning, and at the end
    promoted | rolled_back | aborted | superseded | failed"""
    reason: str
    started_at: float
    subject: str = ""
    """Of the change that the release was cut from."""
    weights_pct: tuple[float, ...] = ()
    steps: tuple[RolloutStep, ...] = ()
    """What each step asks for before the next one; empty: all at once."""
    step: int | None = None
    weight_pct: float = 0.0
    verified_at: float | None = None
    step_requests: int = 0
    """Of the candidate since the step's weight was verified."""
    candidate: ArmView = field(default_factory=ArmView)
    baseline: ArmView = field(default_factory=ArmView)
    rollback_evidence_pct: float = 0.0
    """How far the evidence that the candidate is worse has come; 100 rolls back."""
    promote_evidence_pct: Mapping[str, float] = field(default_factory=dict)
    """For each metric how far the evidence that it is good enough has come in this step; all at 100 promotes."""
    own: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Metrics of one's own: the candidate's and the stable release's rate or mean so far."""
    held: str = ""
    """Why the rollout is held for a reason that is not its own; empty when it is not."""
    gate: str = ""
    """The gate that is being asked."""
    gate_process: str = ""
    """By which its log can be read."""
    awaiting_approval: bool = False
    experiment: Mapping[str, str] = field(default_factory=dict)
    """What came of an experiment: the verdict on each arm, by its name."""
    experiment_worse: tuple[str, ...] = ()
    verdict: str = ""
    duration_s: float | None = None

    @property
    def ended(self) -> bool:
        return self.duration_s is not None


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    app: str
    name: str
    address: str = ""
    live: Digest | None = None
    live_since: float | None = None
    previous: Digest | None = None
    desired: Digest | None = None
    rollout: RolloutView | None = None
    """The one under way, else the last one."""
    problems: tuple[Problem, ...] = ()
    pinned: Digest | None = None
    """The release that the environment stays on until it is unpinned."""
    frozen: bool = False
    """By hand, until it is thawed or until `frozen_until`."""
    frozen_until: float | None = None
    held: str = ""
    """Why what waits is not deployed yet; empty when nothing is held."""
    held_until: float | None = None
    """When that is over, if it is known."""
    quarantined: tuple[Digest, ...] = ()
    """Releases that were proven worse here, newest first: never deployed again by themselves."""
    preview: PreviewView | None = None
    """If it is there only for as long as a pull request is."""


@dataclass(frozen=True, slots=True)
class ReleaseView:
    release: Digest
    app: str
    run: int
    commit: str
    subject: str
    cut_at: float
    parts: Mapping[str, Digest]
    live_in: tuple[str, ...] = ()
    outcome: Mapping[str, str] = field(default_factory=dict)
    """For each environment how its last rollout there ended, or `running`."""
    settings: Mapping[str, Digest] = field(default_factory=dict)
    """Of what it is besides its files: `model`, `config`, `trimtab.yaml`. Empty: an older version has cut it."""
    changed: tuple[str, ...] = ()
    """Which parts and settings are others than in the release that was cut before it."""


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """Runs at stated times."""

    name: str
    next_at: float
    """When the next one begins."""
    run: RunView | None = None
    """The last one."""
    skipped: str = ""
    """Why no run was begun when its time came last; empty: one was."""


@dataclass(frozen=True, slots=True)
class AppView:
    name: str
    head: Change | None = None
    environments: tuple[EnvironmentView, ...] = ()
    run: RunView | None = None
    """The newest that a change of the deployed branch has begun."""
    problems: tuple[Problem, ...] = ()
    pull_requests: tuple[RunView, ...] = ()
    """Runs of pull requests that are under way, newest first."""
    previews: tuple[EnvironmentView, ...] = ()
    """Environments of pull requests, by name."""
    schedules: tuple[ScheduleView, ...] = ()
    """In the order of the newest trimtab.yaml."""


@dataclass(frozen=True, slots=True)
class OverviewView:
    """One application with its last runs and rollouts: what a live picture is drawn from."""

    app: AppView
    runs: tuple[RunView, ...] = ()
    """Newest first."""
    rollouts: Mapping[str, tuple[RolloutView, ...]] = field(default_factory=dict)
    """For each environment, newest first."""


@dataclass(frozen=True, slots=True)
class MetricView:
    """A metric of one's own as it was read just now, for both releases."""

    name: str
    kind: str
    """events | score | rate"""
    source: str
    """prometheus | sql | json | datadog | cloudwatch"""
    release: Digest
    stable: Digest
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Of `release`. ``events``: ``bad`` and ``all``; ``rate``: ``bad``; ``score``: ``mean`` (0 to 1) and ``scores``,
    how many. Empty when nothing could be read."""
    stable_numbers: Mapping[str, float] = field(default_factory=dict)
    age_s: float | None = None
    """Of the newest number."""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command was recorded for `object`; what follows is decided by the engine. `said` tells it in a few words."""

    object: str
    said: str


@dataclass(frozen=True, slots=True)
class WebhookView:
    """What to enter in the forge's settings, so that it says at once when something changes."""

    url: str
    secret: str | None = None
    """Said once, when it is made; none: there was one already."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One fact as people read it."""

    seq: int
    at: float
    object: str
    kind: str
    summary: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class InstanceView:
    id: str
    release: Digest
    address: str
    phase: str
    started_at: float
    restarts: int
    cpu_s: float
    rss_bytes: int
    log: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ControllerView:
    """One controller of the installation. Times are seconds since the epoch."""

    url: str
    version: str
    host: str
    pid: int
    started_at: float
    seen_at: float
    leads: bool
    """It moves the gateway."""


@dataclass(frozen=True, slots=True)
class StatusView:
    """Everything `trimtab status` shows."""

    version: str
    apps: tuple[AppView, ...]
    problems: tuple[Problem, ...] = ()
    instances: Mapping[str, tuple[InstanceView, ...]] = field(default_factory=dict)
    """For each environment (`app/name`)."""
    controllers: tuple[ControllerView, ...] = ()
    """All that run, and those that did not say that they stopped (see `seen_at`)."""
