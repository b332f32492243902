"""What happens to the preview of a pull request."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.errors import Problem
from trimtab.core.model.facts.base import Fact
from trimtab.core.model.facts.change import PullRequest
from trimtab.core.model.identity import Digest
from trimtab.core.model.specification import Specification


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
