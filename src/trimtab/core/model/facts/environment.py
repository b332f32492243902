"""What happens to an environment: what is offered to it, desired of it, and live in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trimtab.core.errors import Problem
from trimtab.core.model.facts.base import Fact
from trimtab.core.model.identity import Digest
from trimtab.core.model.specification import Specification

HoldCause = Literal["pin", "freeze", "window", "budget"]


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
