"""Pull requests: each new head gets a run of its own beside the deployed branch's, and none of them deploys.

The newer head of a pull request takes the place of the older one; a closed one needs no run any more. At most `AT_ONCE`
run at a time, the others wait in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from trimtab.core.errors import Problem
from trimtab.core.model.decision import Emit
from trimtab.core.model.facts import (
    Change,
    PullRequest,
    PullRequestClosed,
    PullRequestUpdated,
    RunCancelRequested,
    RunRequested,
)
from trimtab.core.model.identity import run_object

AT_ONCE = 4
"""How many runs of pull requests an application has at a time, beside the one of the deployed branch."""


@dataclass(frozen=True, slots=True)
class Pull:
    """An open pull request. `change` is its newest head, `run` the newest run that it got."""

    request: PullRequest
    change: Change
    run: int | None = None


@dataclass(frozen=True, slots=True)
class PullRequests:
    """All that are open; the numbers of the runs that have not finished; who waits for a run (by branch, in order)."""

    open: tuple[Pull, ...] = ()
    running: tuple[int, ...] = ()
    waiting: tuple[str, ...] = ()

    def get(self, branch: str) -> Pull | None:
        return next((pull for pull in self.open if pull.request.branch == branch), None)


@dataclass(frozen=True, slots=True)
class PullReading:
    """Pull requests as they were looked at: heads that were read, branches of those that are gone."""

    open: tuple[tuple[PullRequest, Change], ...] = ()
    closed: tuple[str, ...] = ()
    problem: Problem | None = None


Step = tuple[PullRequests, list[Emit]]


def updated(pulls: PullRequests, app: str, request: PullRequest, change: Change, *, told: bool = False) -> Step:
    """The pull request has this head now. `told`: a fact said so, and none has to be recorded."""
    known = pulls.get(request.branch)
    if known is not None and known.change.commit == change.commit:
        return _with(pulls, replace(known, request=request)), []
    emit = [] if told else [Emit(PullRequestUpdated(request, change), f"{request} is at {change.commit[:8]} now")]
    run = None if known is None else known.run
    if run is not None and run in pulls.running:
        cancel = RunCancelRequested(by=change.actor, superseded=True)
        emit.append(Emit(cancel, f"{change.commit[:8]} is newer", object=run_object(app, run)))
    pulls = _with(pulls, Pull(request, change, run))
    if request.branch not in pulls.waiting:
        pulls = replace(pulls, waiting=(*pulls.waiting, request.branch))
    return pulls, emit


def closed(pulls: PullRequests, app: str, branch: str, *, told: bool = False) -> Step:
    """The pull request was merged or given up: nobody needs to know any more how it runs."""
    known = pulls.get(branch)
    if known is None:
        return pulls, []
    emit = [] if told else [Emit(PullRequestClosed(known.request), f"{known.request} is not open any more")]
    if known.run is not None and known.run in pulls.running:
        why = f"{known.request} was closed"
        emit.append(Emit(RunCancelRequested(by=f"closing {known.request}"), why, object=run_object(app, known.run)))
    left = tuple(pull for pull in pulls.open if pull is not known)
    return replace(pulls, open=left, waiting=tuple(other for other in pulls.waiting if other != branch)), emit


def finished(pulls: PullRequests, run: int) -> PullRequests:
    """One of its runs has ended."""
    return replace(pulls, running=tuple(other for other in pulls.running if other != run))


def has_room(pulls: PullRequests) -> bool:
    return len(pulls.running) < AT_ONCE


def beside(pulls: PullRequests, run: RunRequested) -> PullRequests:
    """A run that was asked for once more: it counts as one of these, since it does not deploy either."""
    known = pulls.get(run.pull_request.branch) if run.pull_request is not None else None
    if known is not None and known.change.commit == run.change.commit:
        pulls = _with(pulls, replace(known, run=run.run))
    return replace(pulls, running=(*pulls.running, run.run))


def begin(
    pulls: PullRequests,
    app: str,
    next_run: int,
    head: str | None,
    coverage_pct: Mapping[str, float],
    may_have_preview: Callable[[PullRequest], bool],
) -> tuple[PullRequests, int, list[Emit]]:
    """Runs for those that wait, as far as there is room; the next run's number afterwards. `head`: of the deployed
    branch, which they are compared with."""
    emit: list[Emit] = []
    while pulls.waiting and has_room(pulls):
        pull = pulls.get(pulls.waiting[0])
        assert pull is not None  # who is closed does not wait
        emit.append(
            Emit(
                RunRequested(
                    next_run,
                    pull.change,
                    pull.request,
                    base=head,
                    coverage_pct=coverage_pct,
                    preview=may_have_preview(pull.request),
                ),
                f"{pull.request} by {pull.change.actor} is at {pull.change.commit[:8]}: {pull.change.subject}",
                object=run_object(app, next_run),
            )
        )
        pulls = replace(
            _with(pulls, replace(pull, run=next_run)),
            running=(*pulls.running, next_run),
            waiting=pulls.waiting[1:],
        )
        next_run += 1
    return pulls, next_run, emit


def looked_at(pulls: PullRequests, app: str, reading: PullReading) -> Step:
    """What follows from a look at all of them."""
    emit: list[Emit] = []
    for branch in reading.closed:
        pulls, said = closed(pulls, app, branch)
        emit += said
    for request, change in reading.open:
        pulls, said = updated(pulls, app, request, change)
        emit += said
    return pulls, emit


def _with(pulls: PullRequests, pull: Pull) -> PullRequests:
    """`pull` in the place of what was known of it, or as the newest."""
    branch = pull.request.branch
    if pulls.get(branch) is None:
        return replace(pulls, open=(*pulls.open, pull))
    return replace(pulls, open=tuple(pull if other.request.branch == branch else other for other in pulls.open))
