"""What a decision wants done.

Each action is one or a few port calls, may be carried out more than once, and ends in a Fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.model.facts import Change
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.identity import ArmId, Digest
from trimtab.core.model.pipeline import DocumentWork, StepSpec
from trimtab.core.model.specification import Specification
from trimtab.core.model.strategy import GateSpec, MirrorSpec, Segment


@dataclass(frozen=True, slots=True)
class Action:
    """The base of every kind of action."""


@dataclass(frozen=True, slots=True)
class ReadSpecification(Action):
    """Read and compile `trimtab.yaml` of a commit, and see which steps its change concerns.
    -> SpecificationRead | SpecificationRefused"""

    app: str
    commit: str
    base: str | None = None
    """The commit that the change is compared with; None: every step is concerned."""
    branch: str = ""
    """That it is on; for a pull request, that it wants to be merged into."""
    is_pull_request: bool = False
    only: tuple[str, ...] = ()
    """These steps and what they need; empty: all."""
    schedule: str = ""
    """By which the run was started; empty: by a change."""


@dataclass(frozen=True, slots=True)
class LookUpSteps(Action):
    """Find out which steps need not run, because what they would give is known. -> StepsLookedUp"""

    app: str
    run: int
    commit: str
    steps: tuple[StepSpec, ...]
    """In the order of their needs; those that are no part of the run are left out."""
    scopes: tuple[str, ...] = ()
    again_of: int | None = None
    fresh: tuple[str, ...] = ()
    coverage_pct: Mapping[str, float] = field(default_factory=dict)
    """What each step's coverage is compared with."""


@dataclass(frozen=True, slots=True)
class StartStep(Action):
    """Start a step in a workspace of its own, unless what it would give is known. -> StepStarted | StepTaken"""

    app: str
    run: int
    commit: str
    step: StepSpec
    attempt: int
    layers: tuple[Digest, ...] = ()
    """The outputs of all steps that it needs, those that were there first before the others."""
    scopes: tuple[str, ...] = ()
    """Where in the cache it is looked for; empty: nowhere."""
    trusted: bool = True
    """Whether the commit may be given secrets."""
    fresh: bool = False
    """Whether it runs whatever is in the cache."""
    coverage_pct: float | None = None
    """What its coverage is compared with."""
    schedule: str = ""
    """By which the run was started."""
    anew: bool = False
    """Whether all its documents are built, whatever is known of them."""


@dataclass(frozen=True, slots=True)
class KeepStep(Action):
    """Read the reports of a step that has ended; if it has passed, keep its outputs and remember what it gave.
    -> StepKept"""

    app: str
    run: int
    step: StepSpec
    attempt: int
    process: str
    duration_s: float
    key: str = ""
    scope: str | None = None
    """Where in the cache it is kept; None: nowhere."""
    passed: bool = True
    coverage_pct: float | None = None
    """What its coverage is compared with."""
    commit: str = ""
    documents: DocumentWork | None = None
    """What it was started with, if it works document by document."""


@dataclass(frozen=True, slots=True)
class CancelSteps(Action):
    """Stop whatever runs for this run. -> ActionDone"""

    app: str
    run: int


@dataclass(frozen=True, slots=True)
class CutRelease(Action):
    """Store the parts and the manifest. -> ReleaseCut"""

    app: str
    run: int
    change: Change
    specification: Specification
    layers: tuple[Digest, ...] = ()
    """The outputs of all steps."""
    for_preview: bool = False


@dataclass(frozen=True, slots=True)
class CleanWorkspace(Action):
    """Remove the run's workspaces; its logs stay. -> ActionDone"""

    app: str
    run: int


@dataclass(frozen=True, slots=True)
class ReportRun(Action):
    """Tell the forge how the run is when this is carried out: by a commit status, and by a comment on its pull request.
    -> ActionDone"""

    app: str
    run: int
    forge: ForgeSpec


@dataclass(frozen=True, slots=True)
class CommitDesired(Action):
    """Write to the state repository that `release` should run in the environment. -> DesiredCommitted"""

    app: str
    environment: str
    release: Digest
    subject: str
    body: str
    trailers: Mapping[str, str]
    key: str = ""
    """Names the commit: a write whose answer was lost makes no second one when it is tried again under another key."""


@dataclass(frozen=True, slots=True)
class StartInstances(Action):
    """Verify the release, by what is attested of it and to the last byte, and start its instances (those that do not
    run yet). -> ActionDone"""

    app: str
    environment: str
    release: Digest
    replicas: int
    specification: Specification
    guise: str = ""
    """The arm is the release in this guise."""
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of the specification's variables."""
    since: float = 0.0
    """When the rollout began: it is attested well enough if it was then; 0: if it is now."""
    is_live: bool = False
    """It was let in before, and what is live keeps running: nothing need be attested of it."""


@dataclass(frozen=True, slots=True)
class ScaleDown(Action):
    """Let all but the first `keep` instances of the arm finish their requests, then stop them; the gateway sends them
    nothing new already. -> ActionDone"""

    app: str
    environment: str
    arm: ArmId
    keep: int
    drain_timeout_s: float


@dataclass(frozen=True, slots=True)
class RunGate(Action):
    """Start asking the gate, as a supervised process of the name `process`. -> GateStarted"""

    app: str
    environment: str
    gate: GateSpec
    process: str
    env: Mapping[str, str]
    """What the gate is told of the rollout."""
    since: float = 0.0
    """As for `StartInstances`."""


@dataclass(frozen=True, slots=True)
class StopGate(Action):
    """Ask the gate no longer: its answer does not matter any more. -> ActionDone"""

    process: str


@dataclass(frozen=True, slots=True)
class ApplyRoute(Action):
    """Make the gateway route the environment: all traffic to `stable`; `candidate` reachable under the lease `lease`.

    Returns when the data plane was read back and holds it. -> ActionDone
    """

    app: str
    environment: str
    stable: Digest
    candidate: Digest | None
    lease: str | None
    specification: Specification
    segments: tuple[Segment, ...] = ()
    mirror: MirrorSpec | None = None
    others: tuple[ArmId, ...] = ()
    stable_replicas: int | None = None
    """Only so many of the stable release's instances get traffic; the others drain."""
    candidate_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class RetireRelease(Action):
    """Wait until no request is in flight, stop the instances, take the release out of the gateway. -> ReleaseRetired"""

    app: str
    environment: str
    release: ArmId
    drain_timeout_s: float
    stop_timeout_s: float
    delay_s: float = 0.0
    """How long the instances stay as they are first: a return to them is instant."""


@dataclass(frozen=True, slots=True)
class RemoveEnvironment(Action):
    """Stop listening for a preview, stop its instances, and forget all that was kept of it. -> ActionDone"""

    app: str
    environment: str


def _kinds() -> dict[str, type[Action]]:
    return {kind.__name__: kind for kind in Action.__subclasses__()}


ACTIONS: Mapping[str, type[Action]] = _kinds()
"""Every kind of action by name."""
