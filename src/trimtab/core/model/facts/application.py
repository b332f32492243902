"""What happens to an application: its changes, pull requests, schedules, secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trimtab.core.model.facts.base import Fact
from trimtab.core.model.facts.change import Change, PullRequest
from trimtab.core.model.forge import ForgeSpec

Goal = Literal["steps", "release", "deploy"]
"""How far a run goes: its steps only, or a release of what they gave, or that release on its way to production."""


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
