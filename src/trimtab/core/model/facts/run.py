"""What happens to a run: its steps, its turns, its release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trimtab.core.errors import Problem
from trimtab.core.model.facts.base import Fact
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import DocumentWork, PendingPolicy, StepResult
from trimtab.core.model.release import Part
from trimtab.core.model.report import StepReport
from trimtab.core.model.specification import Specification

StepOutcome = Literal["passed", "failed", "timed_out", "cancelled", "lost"]
RunOutcome = Literal["passed", "failed", "invalid", "superseded", "cancelled", "lost"]
"""``lost``: it could not go on for a reason that is not the change's, such as a machine that broke down."""


@dataclass(frozen=True, slots=True)
class SpecificationRead(Fact):
    specification: Specification
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The steps that the change does not concern, with why."""
    templates: Mapping[str, Digest] = field(default_factory=dict)
    """The files that its steps were written out from, by where they are."""


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
    documents: DocumentWork | None = None
    """Of a step that works document by document."""


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
    settings: Mapping[str, Digest] = field(default_factory=dict)
    """Of what the release is besides its files, each by its digest: ``model``, ``config``, ``trimtab.yaml``."""


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
