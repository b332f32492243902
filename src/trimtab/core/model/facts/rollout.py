"""What happens to a rollout: steps, evidence, verdicts, gates, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trimtab.core.model.facts.base import Fact
from trimtab.core.model.identity import Digest

RolloutOutcome = Literal["promoted", "rolled_back", "aborted", "superseded", "failed"]
VerdictName = Literal["PASS", "FAIL", "INSUFFICIENT", "INVALID"]
"""``INVALID``: the evidence itself cannot be trusted, since the arms did not get the shares they should have got."""


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
