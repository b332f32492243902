"""What an environment remembers, and what it sees of the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.decide.environment.budget import Spending
from trimtab.core.errors import Problem
from trimtab.core.model.actions import CommitDesired
from trimtab.core.model.facts import HoldCause
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId
from trimtab.core.model.opening import ALWAYS, Opening
from trimtab.core.model.specification import EnvironmentSpec, Specification, WindowSpec
from trimtab.core.model.traffic import ArmCounts, Instance, TrafficReading

HISTORY = 50
"""How many releases that were live are remembered."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A release on its way into the environment, and why."""

    release: Digest
    specification: Specification
    run: int | None = None
    commit: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class DesiredReading:
    """What the state repository says now, and whether it can be done."""

    commit: str
    release: Digest | None = None
    actor: str = ""
    subject: str = ""
    specification: Specification | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentReading:
    """The world as the environment sees it now."""

    desired: DesiredReading | None = None
    traffic: TrafficReading = field(default_factory=TrafficReading)
    instances: tuple[Instance, ...] = ()
    counts: Mapping[ArmId, ArmCounts] = field(default_factory=dict)
    """What the arms did, for an environment with an error budget."""
    opening: Opening = ALWAYS
    windows: tuple[WindowSpec, ...] = ()
    """The windows that `opening` is about."""


@dataclass(frozen=True, slots=True)
class PreviewState:
    """What is remembered of an environment because it is a preview."""

    run: int
    """That its newest release comes from."""
    told: bool = False
    """Whether it was said what came of that release."""
    failure: str = ""
    """Why a release could not be started."""
    closing: bool = False
    gone_at: float | None = None
    """When nothing was left of it any more; None: it is there."""


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    environment: EnvironmentId
    live: Digest | None = None
    specification: Specification | None = None
    """The live release's."""
    history: tuple[Digest, ...] = ()
    """Releases that were live before, newest first, without the live one."""
    desired: Offer | None = None
    desired_commit: str = ""
    """The commit by which `desired` was decided: ours, or somebody's that was taken over or refused."""
    seen_commit: str = ""
    """The newest commit of the environment's file that was looked at. Differs from `desired_commit` when ours changed
    nothing, since the release it asked for stood there already."""
    waiting: tuple[Offer, ...] = ()
    committing: Offer | None = None
    """Being written to the state repository."""
    writing: CommitDesired | None = None
    """What is being written; kept until it is, however often that fails."""
    write_again_at: float = 0.0
    """When a write that failed is tried again; 0: none has."""
    write_problem: Problem | None = None
    rollout: int | None = None
    rollout_commit: str = ""
    """The commit that the rollout was started for."""
    next_rollout: int = 1
    failed: str = ""
    """The commit whose rollout ended without being promoted: not tried again by itself."""
    pinned: Digest | None = None
    pinned_away: str = ""
    """The commit by somebody else that was refused because of the pin: looked at again without it."""
    frozen: bool = False
    frozen_until: float | None = None
    """When the freeze ends by itself (seconds since the epoch)."""
    quarantined: tuple[Digest, ...] = ()
    """Releases that were proven worse here."""
    held: HoldCause | None = None
    """Why what waits is not deployed yet, as last said."""
    spending: Spending = field(default_factory=Spending)
    """Of the error budget."""
    retiring: tuple[ArmId, ...] = ()
    """Arms that are stopped when their delay is over and their last request has ended."""
    retirements: Mapping[ArmId, str] = field(default_factory=dict)
    """The key of each one's retirement: an earlier one of the same arm may still be waiting for its own time."""
    repairing: str = ""
    """The key of a repair that is under way."""
    keys: int = 0
    """Numbers the actions, so that each has a key of its own."""
    problems: tuple[Problem, ...] = ()
    preview: PreviewState | None = None

    def retires(self, arm: ArmId, key: str) -> bool:
        """Whether the arm is still to be stopped by the retirement of this key."""
        return arm in self.retiring and self.retirements.get(arm, key) == key

    @property
    def place(self) -> EnvironmentSpec | None:
        """The environment's settings as the live release has them."""
        return self.specification.environment(self.environment.name) if self.specification else None
