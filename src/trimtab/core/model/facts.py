"""What happened. A Fact is appended once and never changed; views, audit and DORA are folds over them.

Every class here is one kind of fact; its name is the name of the kind. A fact is recorded *for* one object (see
`Recorded.object`): that object's decision sees it. Times are seconds since the epoch (UTC), durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trimtab.core.errors import Problem
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.identity import Digest, ObjectId
from trimtab.core.model.pipeline import PendingPolicy, StepResult
from trimtab.core.model.release import Part
from trimtab.core.model.report import StepReport
from trimtab.core.model.specification import Specification

StepOutcome = Literal["passed", "failed", "timed_out", "cancelled", "lost"]
RunOutcome = Literal["passed", "failed", "invalid", "superseded", "cancelled", "lost"]
Goal = Literal["steps", "release", "deploy"]
"""How far a run goes: its steps only, or a release of what they gave, or that release on its way to production."""
"""``lost``: it could not go on for a reason that is not the change's, such as a machine that broke down."""
RolloutOutcome = Literal["promoted", "rolled_back", "aborted", "superseded", "failed"]
VerdictName = Literal["PASS", "FAIL", "INSUFFICIENT", "INVALID"]
"""``INVALID``: the evidence itself cannot be trusted, since the arms did not get the shares they should have got."""
HoldCause = Literal["pin", "freeze", "window", "budget"]


@dataclass(frozen=True, slots=True)
class Change:
    """A commit that arrived on the deployed branch."""

    commit: str
    branch: str
    actor: str
    subject: str
    at: float


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Asks that its change be merged into the branch `base`. Its runs deploy nothing."""

    number: int
    base: str
    url: str = ""
    title: str = ""
    from_fork: bool = False
    """Whether its author may not be trusted: then its runs get no secrets, and keep nothing for others in the cache."""
    name: str = ""
    """Of one without a forge: what follows ``pr/`` in its branch. Its number is 0 then."""

    @property
    def branch(self) -> str:
        """The branch of our own repository that its head is kept in; no two have the same."""
        return f"pr/{self.name}" if self.name else f"pull/{self.number}"

    def __str__(self) -> str:
        return f"pr/{self.name}" if self.name else f"pull request {self.number}"


@dataclass(frozen=True, slots=True)
class Fact:
    """The base of every kind of fact."""


# --- the application ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AppRegistered(Fact):
    """Trimtab keeps a repository for the application and deploys `branch` of it.

    With `poll_url`, the branch of that repository is fetched every `poll_interval_s`, and at once when `forge` says
    that something changed there.
    """

    branch: str = "main"
    poll_url: str | None = None
    poll_interval_s: float = 30.0
    forge: ForgeSpec | None = None


@dataclass(frozen=True, slots=True)
class ChangeArrived(Fact):
    change: Change
    via: Literal["push", "poll", "api"]


@dataclass(frozen=True, slots=True)
class ChangeSuperseded(Fact):
    """A waiting change will not be run, because a newer one took its place."""

    change: Change
    by: str


@dataclass(frozen=True, slots=True)
class ForgeNotified(Fact):
    """The forge said that something changed there. A reason to look, and nothing more: what is true, the application
    fetches."""

    delivery: str
    """By which the forge names this message."""
    said: str
    pull_request: PullRequest | None = None
    """The one that it is about; None: the deployed branch."""
    source_branch: str = ""
    """Where the pull request's commits are."""
    source_repository: str = ""
    """The fork that they are in; empty: the repository itself."""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class PullRequestUpdated(Fact):
    """The pull request was opened, or has a new head."""

    pull_request: PullRequest
    change: Change


@dataclass(frozen=True, slots=True)
class PullRequestClosed(Fact):
    """The pull request was merged or given up."""

    pull_request: PullRequest


@dataclass(frozen=True, slots=True)
class RunRequested(Fact):
    """The application gave a change its run number."""

    run: int
    change: Change
    pull_request: PullRequest | None = None
    base: str | None = None
    """The commit that the change is compared with, to see which steps it concerns."""
    again_of: int | None = None
    """The run of the same change whose results this one takes over..."""
    fresh: tuple[str, ...] = ()
    """...but for these steps and those that need them."""
    coverage_pct: Mapping[str, float] = field(default_factory=dict)
    """What the tests of each step covered when a change passed on the deployed branch the last time."""
    until: Goal = "deploy"
    only: tuple[str, ...] = ()
    """These steps and what they need; empty: all."""
    keep_going: bool = False
    """Whether a failed step stops only those that need it."""
    preview: bool = False
    """Of a pull request: whether a release is cut, for a preview of it."""
    schedule: str = ""
    """The schedule that started it; empty: somebody's change did."""


@dataclass(frozen=True, slots=True)
class SchedulesPlanned(Fact):
    """When each schedule starts its next run (seconds since the epoch); those without a further time are left out."""

    next_at: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ScheduleSkipped(Fact):
    """A schedule's time came, and it started no run, since `run`, the one that it started before, is still on."""

    name: str
    run: int


@dataclass(frozen=True, slots=True)
class RerunRequested(Fact):
    """A person wants a run once more. What passed in it is taken over, but for the steps in `fresh`."""

    run: int
    change: Change
    by: str
    fresh: tuple[str, ...] = ()
    deploy: bool = False
    """Also if the change is not the newest of the deployed branch any more."""
    pull_request: PullRequest | None = None
    base: str | None = None
    until: Goal = "deploy"
    only: tuple[str, ...] = ()
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class SecretSet(Fact):
    """A person set a secret. Its value is in no fact."""

    name: str
    by: str


@dataclass(frozen=True, slots=True)
class SecretRemoved(Fact):
    name: str
    by: str


# --- the run -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpecificationRead(Fact):
    specification: Specification
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The steps that the change does not concern, with why."""


@dataclass(frozen=True, slots=True)
class SpecificationRefused(Fact):
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class StepsLookedUp(Fact):
    """Which steps need not run: what they gave to an earlier run stands for what they would give now."""

    taken: Mapping[str, StepResult]


@dataclass(frozen=True, slots=True)
class StepStarted(Fact):
    step: str
    attempt: int
    process: str
    """The name of the supervised process; its log can be read by this name."""
    key: str = ""
    """What its outcome is known by in the cache; empty: it is not kept there."""


@dataclass(frozen=True, slots=True)
class StepTaken(Fact):
    """The step need not run, as in `StepsLookedUp`; found when it was about to start."""

    step: str
    result: StepResult


@dataclass(frozen=True, slots=True)
class StepKept(Fact):
    """What a step that has ended leaves behind is kept: its report, and if it passed its outputs."""

    step: str
    attempt: int
    outputs: Digest | None
    report: StepReport | None = None


@dataclass(frozen=True, slots=True)
class StepFinished(Fact):
    step: str
    attempt: int
    outcome: StepOutcome
    exit_code: int | None
    duration_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class TurnAsked(Fact):
    """A step waits for its turn in its concurrency group. Recorded for the group."""

    run: int
    step: str
    pending: PendingPolicy


@dataclass(frozen=True, slots=True)
class TurnGiven(Fact):
    step: str


@dataclass(frozen=True, slots=True)
class TurnReturned(Fact):
    run: int
    step: str


@dataclass(frozen=True, slots=True)
class TurnRefused(Fact):
    """The step will not have its turn: run `by` is newer, and only the newest was to wait."""

    step: str
    by: int


@dataclass(frozen=True, slots=True)
class ReleaseCut(Fact):
    release: Digest
    run: int
    commit: str
    parts: Mapping[str, Part]
    subject: str = ""
    for_preview: bool = False
    """Of a pull request: it is deployed nowhere but in its preview."""


@dataclass(frozen=True, slots=True)
class RunCancelRequested(Fact):
    by: str
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class RunFinished(Fact):
    run: int
    outcome: RunOutcome
    release: Digest | None
    duration_s: float
    coverage_pct: Mapping[str, float] = field(default_factory=dict)
    """What the tests of each step cover. Of a step that had no part in the run: what they covered before."""


# --- the environment -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReleaseOffered(Fact):
    """A release may be deployed here: its run passed, or the environment before this one took it.

    Recorded for the application: the run of a pull request passed, and its release may have a preview.
    """

    release: Digest
    run: int
    specification: Specification
    commit: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseSuperseded(Fact):
    """An offered release will not be deployed here, because a newer one took its place."""

    release: Digest
    by: Digest


@dataclass(frozen=True, slots=True)
class DesiredCommitted(Fact):
    """The state repository says that `release` should run here."""

    release: Digest
    commit: str


@dataclass(frozen=True, slots=True)
class DesiredRefused(Fact):
    """The state repository says something that cannot be done; nothing was changed."""

    commit: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class DesiredAdopted(Fact):
    """The state repository was changed by someone else and says that `release` should run here."""

    release: Digest
    commit: str
    actor: str
    specification: Specification | None = None


@dataclass(frozen=True, slots=True)
class RolloutRequested(Fact):
    """Everything a rollout needs to know; recorded for the rollout."""

    number: int
    release: Digest
    stable: Digest | None
    specification: Specification
    instant: bool
    run: int | None = None


@dataclass(frozen=True, slots=True)
class RollbackRequested(Fact):
    """A person wants `release` (None: the one before the live one) back, at once."""

    release: Digest | None
    by: str


@dataclass(frozen=True, slots=True)
class LiveChanged(Fact):
    """All traffic of the environment goes to `release` now."""

    release: Digest
    previous: Digest | None


@dataclass(frozen=True, slots=True)
class PinRequested(Fact):
    """A person wants the environment to stay on `release` (None: the live one): nothing else is deployed by itself."""

    release: Digest | None
    by: str


@dataclass(frozen=True, slots=True)
class UnpinRequested(Fact):
    by: str


@dataclass(frozen=True, slots=True)
class FreezeRequested(Fact):
    """A person wants no rollout to begin by itself, until then (seconds since the epoch; None: until it is thawed)."""

    until: float | None
    by: str


@dataclass(frozen=True, slots=True)
class ThawRequested(Fact):
    by: str


@dataclass(frozen=True, slots=True)
class ReleaseQuarantined(Fact):
    """The release was proven worse here: it is never deployed again by itself."""

    release: Digest


@dataclass(frozen=True, slots=True)
class QuarantineLifted(Fact):
    """A person trusts the release again."""

    release: Digest
    by: str


@dataclass(frozen=True, slots=True)
class ReleaseRefused(Fact):
    """An offered release is not deployed here, because it is in quarantine."""

    release: Digest


@dataclass(frozen=True, slots=True)
class DeliveryHeld(Fact):
    """What waits is not deployed yet, for this cause; `until` (seconds since the epoch) when that is known."""

    cause: HoldCause
    until: float | None = None


@dataclass(frozen=True, slots=True)
class DeliveryResumed(Fact):
    """What waits may be deployed again."""


# --- previews --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PreviewOpened(Fact):
    """The environment, which is a preview, is to run the release of a pull request's newest head that passed."""

    pull_request: PullRequest
    run: int
    release: Digest
    specification: Specification
    """The head's, with this environment alone."""
    url: str
    until: float
    """When it goes away by itself (seconds since the epoch), unless there is a newer head by then."""
    commit: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PreviewRefused(Fact):
    """The run of a pull request passed, and its release gets no preview for now."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class PreviewStarted(Fact):
    """What came of `PreviewOpened`: users of the preview get the release, or it could not be started."""

    name: str
    run: int
    release: Digest
    passed: bool


@dataclass(frozen=True, slots=True)
class PreviewCloseRequested(Fact):
    """A person does not want the preview any more. Recorded for the application."""

    name: str
    by: str


@dataclass(frozen=True, slots=True)
class PreviewClosed(Fact):
    """Nobody needs the preview any more: all of it is to be removed."""

    name: str


@dataclass(frozen=True, slots=True)
class PreviewGone(Fact):
    """Nothing of the preview is left; its port is free."""

    name: str
    run: int


# --- the rollout -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RolloutStarted(Fact):
    number: int
    release: Digest
    stable: Digest | None
    strategy: str
    weights_pct: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class InstancesReady(Fact):
    release: Digest
    count: int


@dataclass(frozen=True, slots=True)
class StepEntered(Fact):
    """The rollout wants `weight_pct` of the traffic on the candidate."""

    index: int
    weight_pct: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class WeightVerified(Fact):
    """The data plane was read back and holds `weight_pct`: from now on evidence counts for the step."""

    index: int
    weight_pct: float


@dataclass(frozen=True, slots=True)
class WeightLost(Fact):
    """The data plane no longer holds the step's weight: evidence does not count until it does."""

    index: int
    held_pct: float


@dataclass(frozen=True, slots=True)
class EvidenceCounted(Fact):
    """One tick: what each arm did since the last one, and how sure the tests are after it.

    `rollback_log_e` and `promote_log_e` are natural logarithms; the thresholds are in `rollback_at` and `promote_at`.
    """

    index: int
    candidate_requests: int
    candidate_errors: int
    stable_requests: int
    stable_errors: int
    candidate_p95_ms: float | None
    stable_p95_ms: float | None
    rollback_log_e: float
    promote_log_e: Mapping[str, float]
    rollback_at: float
    promote_at: float
    mirrored: bool = False
    """The candidate's requests were copies; nobody got its answers."""
    users: int = 0
    """With users as the unit: how many exposures of candidate users were counted."""
    own: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Metrics of one's own: the candidate's and the stable release's rate or mean so far."""


@dataclass(frozen=True, slots=True)
class EvidenceSummed(Fact):
    """What the ticks of a rollout that has ended came to, recorded when most of them are forgotten (`retention`).

    Totals, not one more tick: whoever has folded the ticks finds the same numbers here.
    """

    candidate_requests: int
    candidate_errors: int
    stable_requests: int
    stable_errors: int
    candidate_p95_ms: float | None
    stable_p95_ms: float | None
    step_requests: int
    """Of the candidate since the last step's weight was verified."""
    own: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ticks: int = 0
    """How many there were."""


@dataclass(frozen=True, slots=True)
class VerdictReached(Fact):
    verdict: VerdictName
    offender: str
    """The metric that decided, or the empty string."""


@dataclass(frozen=True, slots=True)
class RolloutHeld(Fact):
    """The rollout cannot go on for a reason that is not its own (stale numbers, untrusted shares, its group): it
    neither moves nor promotes until that is gone. It can still go back."""


@dataclass(frozen=True, slots=True)
class RolloutReleased(Fact):
    """What held the rollout is gone."""


@dataclass(frozen=True, slots=True)
class GateStarted(Fact):
    gate: str
    process: str
    """The name of the supervised process that runs or asks the gate; its log can be read by this name."""


@dataclass(frozen=True, slots=True)
class GateEnded(Fact):
    gate: str
    passed: bool
    duration_s: float


@dataclass(frozen=True, slots=True)
class ApprovalAwaited(Fact):
    """The step waits for a person's word (`trimtab approve`)."""

    index: int


@dataclass(frozen=True, slots=True)
class ApproveRequested(Fact):
    by: str


@dataclass(frozen=True, slots=True)
class ExperimentJudged(Fact):
    """What came of an experiment: each arm's verdict against the baseline, by its name, and which are proven worse
    when all are looked at together (e-BH)."""

    index: int
    verdicts: Mapping[str, VerdictName]
    worse: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PauseRequested(Fact):
    by: str


@dataclass(frozen=True, slots=True)
class ResumeRequested(Fact):
    by: str


@dataclass(frozen=True, slots=True)
class AbortRequested(Fact):
    by: str
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class PromoteRequested(Fact):
    by: str


@dataclass(frozen=True, slots=True)
class TrafficReturned(Fact):
    """All traffic is on the stable release again."""

    stable: Digest


@dataclass(frozen=True, slots=True)
class RolloutEnded(Fact):
    number: int
    release: Digest
    stable: Digest | None
    outcome: RolloutOutcome
    duration_s: float
    proven_worse: bool = False
    """Whether it was rolled back because of what it did, by a verdict or a gate; not because time ran out."""


@dataclass(frozen=True, slots=True)
class ReleaseRetired(Fact):
    """The instances of a release that no longer gets traffic were stopped after their last request."""

    release: Digest


# --- anything --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActionDone(Fact):
    """An action without a fact of its own was carried out."""

    action: str
    kind: str


@dataclass(frozen=True, slots=True)
class ActionFailed(Fact):
    """An action could not be carried out; the object's decision says what follows."""

    action: str
    kind: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class ProblemFound(Fact):
    """Something is wrong with the object; it stays wrong until the same code is cleared."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class ProblemCleared(Fact):
    code: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact as the log keeps it. `key` makes an append idempotent: a second fact with the same key is not recorded."""

    object: ObjectId
    fact: Fact
    reason: str = ""
    actor: str = "trimtab"
    key: str | None = None
    seq: int = 0
    at: float = 0.0

    @property
    def kind(self) -> str:
        return self.fact.kind if isinstance(self.fact, FactOfNewerVersion) else type(self.fact).__name__


def _kinds() -> dict[str, type[Fact]]:
    return {kind.__name__: kind for kind in Fact.__subclasses__()}


FACTS: Mapping[str, type[Fact]] = _kinds()
"""Every kind of fact by name."""


@dataclass(frozen=True, slots=True)
class FactOfNewerVersion(Fact):
    """Stands for a fact that this version cannot read, where one reads the log: it happened, and folds pass over it.
    No kind of fact itself, and never part of a decision."""

    kind: str
    text: str
