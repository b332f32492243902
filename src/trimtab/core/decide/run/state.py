"""What is remembered of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trimtab.core.model.facts import Change, Goal, PullRequest, StepOutcome
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import DocumentWork
from trimtab.core.model.report import StepReport
from trimtab.core.model.specification import Specification

StepStatus = Literal[
    "waiting", "starting", "running", "keeping", "passed", "failed", "cancelled", "skipped", "left_out"
]
"""``keeping``: it has ended, and its outputs and reports are being kept. ``skipped``: something before it failed.
``left_out``: the change does not concern it, or its condition is not met."""

DONE: tuple[StepStatus, ...] = ("passed", "left_out")
"""What lets the steps begin that need this one."""
UNDER_WAY: tuple[StepStatus, ...] = ("starting", "running", "keeping")


@dataclass(frozen=True, slots=True)
class StepReading:
    """How a step's process ended."""

    outcome: StepOutcome
    exit_code: int | None
    duration_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class StepState:
    status: StepStatus = "waiting"
    attempt: int = 0
    process: str = ""
    started_at: float = 0.0
    duration_s: float = 0.0
    """Of the attempt that passed."""
    failures: int = 0
    """How many of the attempts failed. An attempt that was lost is none of them."""
    losses: int = 0
    not_before: float = 0.0
    """When the next attempt may start."""
    key: str = ""
    outputs: Digest | None = None
    reading: StepReading | None = None
    """How it ended, while its outputs are being kept."""
    report: StepReport | None = None
    documents: DocumentWork | None = None
    """What the attempt was started with, if it works document by document."""
    turn: Literal["", "asked", "given"] = ""
    """Of its concurrency group."""


@dataclass(frozen=True, slots=True)
class RunState:
    app: str
    number: int
    change: Change | None = None
    phase: Literal["reading", "running", "cutting", "finished"] = "reading"
    started_at: float = 0.0
    specification: Specification | None = None
    steps: Mapping[str, StepState] = field(default_factory=dict)
    pull_request: PullRequest | None = None
    looked_up: bool = True
    """Whether it is known which steps need not run. (True where nobody looks: in runs of older versions.)"""
    schedule: str = ""
    """By which it was started; empty: by a change."""
    preview: bool = False
    """Whether a release is cut of a pull request."""
    again_of: int | None = None
    fresh: tuple[str, ...] = ()
    coverage_pct: Mapping[str, float] = field(default_factory=dict)
    """What the coverage of each step is compared with."""
    until: Goal = "deploy"
    keep_going: bool = False
    templates: Mapping[str, Digest] = field(default_factory=dict)
    """The files that its steps were written out from, by where they are."""
