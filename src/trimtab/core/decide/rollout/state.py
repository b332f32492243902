"""What a rollout remembers, and what it sees of the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trimtab.core.decide.rollout.counting import Cursor
from trimtab.core.decide.run import StepReading
from trimtab.core.model.facts import RolloutOutcome, VerdictName
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, ObjectId, rollout_object
from trimtab.core.model.measure import Measurement
from trimtab.core.model.specification import EnvironmentSpec, Specification
from trimtab.core.model.strategy import RolloutStep
from trimtab.core.model.traffic import NO_SHARE, ArmCounts, Instance, PairCounts, Share, TrafficReading
from trimtab.core.stats.evidence import Evidence

Phase = Literal[
    "gathering", "starting", "routing", "shifting", "observing", "ramping", "promoting", "returning", "ended"
]
"""``gathering``: waits for the group. ``starting``: for instances that the step needs. ``routing``: for the gateway to
take the step's route. ``shifting``: for the share to be in force. ``observing``: for the step's conditions.
``ramping``: the share grows to all traffic. ``promoting``, ``returning``: for the gateway to take the last route."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the rollout is going to be, once traffic is where it belongs."""

    outcome: RolloutOutcome
    reason: str
    proven_worse: bool = False


@dataclass(frozen=True, slots=True)
class GateState:
    """The gate of the current step."""

    process: str
    started_at: float
    passed: bool = False


@dataclass(frozen=True, slots=True)
class RolloutState:
    environment: EnvironmentId
    number: int
    release: Digest = ""
    stable: Digest | None = None
    specification: Specification | None = None
    instant: bool = False
    phase: Phase = "starting"
    started_at: float = 0.0
    phase_since: float = 0.0
    step: int = 0
    """The step whose settings are in force or on their way; as many as there are steps: all traffic."""
    routed: bool = False
    """Whether the gateway was given a route with the candidate."""
    generation: int = 0
    """Counts the routes with other segments: each has a lease of its own, so that a share never holds for others than
    those it was meant for."""
    share: Share = NO_SHARE
    """What was granted when the current move began; it stays until the new share is due."""
    entered_at: float = 0.0
    """When the current share began to be granted: ramps count from here."""
    verified_at: float = 0.0
    """When the data plane was first seen to hold the current step's share."""
    settle_s: float = 0.0
    """How long most of the stable release's requests take: before that, slow failures cannot have been seen."""
    paused: bool = False
    gate: GateState | None = None
    approval_asked: bool = False
    approved: bool = False
    wanted: Mapping[ArmId, int] = field(default_factory=dict)
    """How many instances were asked for, by arm."""
    starts: tuple[str, ...] = ()
    """Keys of the starts that are not carried out yet: until they are, instances that are seen may be those of before,
    which are being stopped."""
    held: str = ""
    """Why the rollout is held; empty when it is not."""
    ready_for: int = 0
    """For the group: how many of the moves (into the first step, on from the first step, ...) it is ready to make."""
    attempts: int = 0
    """How often going back was tried; makes each try's key its own."""
    retry_at: float = 0.0
    ending: Ending | None = None
    ramps_out: bool = False
    """Whether the last move is made little by little."""
    evidence: Evidence = field(default_factory=Evidence)
    trials: Mapping[str, Evidence] = field(default_factory=dict)
    """Of an experiment: the evidence on each arm against the baseline, by name."""
    verdicts: Mapping[str, VerdictName] = field(default_factory=dict)
    cursor: Cursor = field(default_factory=Cursor)
    """The counts up to which evidence was taken."""

    @property
    def id(self) -> ObjectId:
        return rollout_object(self.environment, self.number)

    @property
    def place(self) -> EnvironmentSpec:
        assert self.specification is not None
        place = self.specification.environment(self.environment.name)
        assert place is not None
        return place

    @property
    def steps(self) -> tuple[RolloutStep, ...]:
        """None when there is nothing to compare with, or when the release returns at once."""
        if self.specification is None or self.instant or self.stable is None:
            return ()
        return self.place.strategy.steps

    @property
    def current(self) -> RolloutStep | None:
        """The step under way; None before the first release's request and on the way to all traffic."""
        steps = self.steps
        return steps[self.step] if self.step < len(steps) else None

    @property
    def before(self) -> RolloutStep | None:
        """The step before the current one."""
        return self.steps[self.step - 1] if 0 < self.step <= len(self.steps) else None

    @property
    def replicas(self) -> int:
        assert self.specification is not None
        return self.place.replicas or self.specification.service.replicas

    @property
    def lease_id(self) -> str:
        return f"{self.id}/{self.generation}"

    def arm_of(self, arm: str) -> ArmId:
        """The candidate or the stable release by the arm's name."""
        return self.release if arm == "candidate" else self.stable or ""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another member of the rollout's group, as it is now."""

    member: str
    under_way: bool
    ready_for: int = 0
    outcome: RolloutOutcome | Literal["returning"] | None = None
    """How its last rollout ended, or that it is on its way back."""
    outcome_at: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RolloutReading:
    """The world as the rollout sees it now."""

    traffic: TrafficReading = field(default_factory=TrafficReading)
    instances: Mapping[ArmId, tuple[Instance, ...]] = field(default_factory=dict)
    """Of the arms in `RolloutState.wanted`, while they are waited for."""
    counts: Mapping[ArmId, ArmCounts] = field(default_factory=dict)
    pairs: PairCounts = field(default_factory=PairCounts)
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    gate: StepReading | None = None
    """How the gate's process ended."""
    peers: tuple[Peer, ...] = ()
