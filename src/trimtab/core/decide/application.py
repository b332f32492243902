"""The application: notices changes and gives each its run, one at a time, by the stated policy for newer changes.

Pull requests have runs beside that (`pull_requests`), and may have previews (`previews`). Runs may also begin at stated
times (`schedules`). What is elsewhere is polled:
at the stated interval while it answers, less and less often while it does not, and at once when a webhook says that
there is something new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from trimtab.core.decide import previews, pull_requests, reruns, schedules
from trimtab.core.decide.previews import Previews
from trimtab.core.decide.pull_requests import PullReading, PullRequests
from trimtab.core.decide.schedules import Planning, Schedules, Times
from trimtab.core.errors import Problem
from trimtab.core.model.actions import ReportRun
from trimtab.core.model.decision import Decision, Emit, Todo
from trimtab.core.model.facts import (
    ActionDone,
    ActionFailed,
    AppRegistered,
    Change,
    ChangeArrived,
    ChangeSuperseded,
    ForgeNotified,
    PreviewCloseRequested,
    PreviewGone,
    PreviewStarted,
    ProblemCleared,
    ProblemFound,
    PullRequestClosed,
    PullRequestUpdated,
    Recorded,
    ReleaseOffered,
    RerunRequested,
    RunCancelRequested,
    RunFinished,
    RunRequested,
    SpecificationRead,
)
from trimtab.core.model.identity import run_object
from trimtab.core.model.specification import NewerPolicy, ScheduleSpec, Specification

IDLE_S = 10.0
"""How often Trimtab's own repository is looked at: a push whose announcement was lost is found then."""
LONGEST_S = 600.0
"""How long a remote that does not answer is left alone at most."""
_REPORT = ReportRun.__name__


@dataclass(frozen=True, slots=True)
class AppState:
    name: str
    source: AppRegistered = field(default_factory=AppRegistered)
    next_run: int = 1
    head: str | None = None
    """The newest commit that arrived."""
    head_change: Change | None = None
    """The same with all that is known of it."""
    running: int | None = None
    running_commit: str | None = None
    passed: str | None = None
    """The newest commit of the deployed branch whose run passed: steps that only some changes concern are compared
    with it."""
    waiting: tuple[Change, ...] = ()
    policy: NewerPolicy = "latest"
    problem: Problem | None = None
    pulls: PullRequests = field(default_factory=PullRequests)
    failures: int = 0
    """How often in a row the remote could not be read."""
    look_at: float = 0.0
    """When the remote is looked at next, unless something is heard of it before."""
    reruns: tuple[RerunRequested, ...] = ()
    """Runs that were asked for once more and have not begun."""
    report_problem: Problem | None = None
    """Why the forge could not be told of a run."""
    coverage_pct: Mapping[str, float] = field(default_factory=dict)
    """What the tests of each step covered when a change passed on the deployed branch the last time."""
    previews: Previews = field(default_factory=Previews)
    schedules: Schedules = field(default_factory=Schedules)


@dataclass(frozen=True, slots=True)
class ApplicationReading:
    """The deployed branch and the pull requests now, or why they cannot be read."""

    head: Change | None = None
    problem: Problem | None = None
    pulls: PullReading = field(default_factory=PullReading)
    looked: bool = True
    """False: nobody looked, and nothing is known that was not known before."""
    free_ports: frozenset[int] = frozenset()
    """Those for previews that nobody listens on, if they were asked for (`previews.ports_to_ask`)."""
    times: Times = field(default_factory=dict)
    """The next times of the schedules (`schedules_to_ask`)."""


def wants_look(state: AppState, facts: tuple[Recorded, ...], now: float) -> bool:
    """Whether the repository has to be looked at before this decision."""
    if any(isinstance(recorded.fact, (ForgeNotified, AppRegistered)) for recorded in facts):
        return True
    if any(isinstance(recorded.fact, (ChangeArrived, PullRequestUpdated)) for recorded in facts):
        return False  # nothing stands between a push and its first step
    # Further away than any wait: the clock was set back meanwhile.
    return not polled(state) or not 0.0 < state.look_at - now <= max(LONGEST_S, state.source.poll_interval_s)


def schedules_to_ask(state: AppState, facts: tuple[Recorded, ...]) -> tuple[ScheduleSpec, ...]:
    """Those that the next reading should be about: as the newest specification has them."""
    read = [recorded.fact.specification for recorded in facts if isinstance(recorded.fact, SpecificationRead)]
    return read[-1].schedules if read else state.schedules.specs


def decide_application(
    state: AppState, facts: tuple[Recorded, ...], reading: ApplicationReading, now: float
) -> Decision[AppState]:
    """What follows from changes that arrived and runs that finished."""
    work = _Work(state, now)
    for recorded in facts:
        work.see(recorded)
    if reading.looked:
        work.looked(reading)
    work.begin()
    work.keep_schedules(reading)
    work.previews(previews.settle(work.state.previews, state.name, work.state.pulls, reading.free_ports, now))
    return work.decision()


def polled(state: AppState) -> bool:
    return state.source.poll_url is not None


class _Work:
    """One decision in the making. Local to the call: nothing outlives it."""

    def __init__(self, state: AppState, now: float) -> None:
        self.state, self.now = state, now
        self.arrived = False
        self.todo: list[Todo] = []
        self.emit: list[Emit] = []

    def decision(self) -> Decision[AppState]:
        idle = not polled(self.state) and self.state.problem is None
        look_at = self.state.look_at if polled(self.state) else self.now + IDLE_S
        due = (self.state.previews.next_at, self.state.schedules.next_after(self.now))
        look_at = min([look_at, *(max(at, self.now) for at in due if at is not None)])
        return Decision(self.state, tuple(self.todo), tuple(self.emit), look_at, idle=idle)

    # --- facts ---

    def see(self, recorded: Recorded) -> None:
        match recorded.fact:
            case AppRegistered() as source:
                self.register(source)
            case ChangeArrived(change=change) if change.commit != self.state.head:
                self.arrive(change)
            case SpecificationRead(specification=specification):
                self.specified(specification)
            case RunFinished() as finished:
                self.finished(finished)
            case RerunRequested() as asked:
                self.state = replace(self.state, reruns=(*self.state.reruns, asked))
            case ForgeNotified():
                self.state = replace(self.state, failures=0)
            case PullRequestUpdated(pull_request=request, change=change):
                self.pulls(pull_requests.updated(self.state.pulls, self.state.name, request, change, told=True))
            case PullRequestClosed(pull_request=request):
                self.pulls(pull_requests.closed(self.state.pulls, self.state.name, request.branch, told=True))
            case ReleaseOffered() | PreviewStarted() | PreviewGone() | PreviewCloseRequested():
                self.of_previews(recorded)
            case ActionFailed(kind=kind, problem=problem) if kind == _REPORT:
                self.reported(problem)
            case ActionDone(kind=kind) if kind == _REPORT:
                self.reported(None)
            case _:
                pass

    def specified(self, specification: Specification) -> None:
        self.state = replace(
            self.state,
            policy=specification.on_newer_change,
            previews=replace(self.state.previews, spec=specification.previews),
            schedules=schedules.adopted(self.state.schedules, specification.schedules),
        )

    def register(self, source: AppRegistered) -> None:
        if source.forge != self.state.source.forge:
            for pull in self.state.pulls.open:
                if not pull.request.name:
                    branch = pull.request.branch
                    self.pulls(pull_requests.closed(self.state.pulls, self.state.name, branch))
        self.state = replace(self.state, source=source, failures=0)

    def finished(self, finished: RunFinished) -> None:
        run, passed = finished.run, finished.outcome == "passed"
        mine = run == self.state.running or run in self.state.pulls.running
        if run == self.state.running:
            if passed:
                commit, coverage_pct = self.state.running_commit, finished.coverage_pct
                self.state = replace(self.state, passed=commit, coverage_pct=coverage_pct)
            self.state = replace(self.state, running=None, running_commit=None)
        pulls, planned = pull_requests.finished(self.state.pulls, run), schedules.finished(self.state.schedules, run)
        self.state = replace(self.state, pulls=pulls, schedules=planned)
        if mine:
            self.report(run, "ended")

    # --- what was seen ---

    def looked(self, reading: ApplicationReading) -> None:
        if reading.head is not None and reading.head.commit != self.state.head and not self.arrived:
            found = ChangeArrived(reading.head, "poll" if polled(self.state) else "push")
            self.emit.append(Emit(found, f"{reading.head.branch} is at {reading.head.commit[:8]} now"))
            self.arrive(reading.head)
        if reading.head is not None and self.state.head_change is None:
            self.state = replace(self.state, head_change=reading.head)
        self.pulls(pull_requests.looked_at(self.state.pulls, self.state.name, reading.pulls))
        problem = reading.problem or reading.pulls.problem
        self.note(self.state.problem, problem)
        failures = 0 if problem is None else self.state.failures + 1
        self.state = replace(self.state, problem=problem, failures=failures if polled(self.state) else 0)
        if polled(self.state):
            usual_s = self.state.source.poll_interval_s
            wait_s = min(usual_s * 2.0 ** min(failures, 20), max(LONGEST_S, usual_s))
            self.state = replace(self.state, look_at=self.now + wait_s)

    def arrive(self, change: Change) -> None:
        self.arrived = True
        self.state = replace(self.state, head=change.commit, head_change=change)
        if (self.state.running is None and not self.state.waiting) or self.state.policy == "queue":
            self.state = replace(self.state, waiting=(*self.state.waiting, change))
            self.request()
            return
        for waiting in self.state.waiting:
            why = f"{waiting.commit[:8]} waited, and {change.commit[:8]} is newer"
            self.emit.append(Emit(ChangeSuperseded(waiting, change.commit), why))
        if self.state.policy == "cancel" and self.state.running is not None:
            cancel = RunCancelRequested(by=change.actor, superseded=True)
            place = run_object(self.state.name, self.state.running)
            self.emit.append(Emit(cancel, f"{change.commit[:8]} is newer", object=place))
        self.state = replace(self.state, waiting=(change,))

    # --- runs ---

    def begin(self) -> None:
        """Runs for what waits and may begin."""
        self.request()
        self.request_again()
        pulls, next_run, emit = pull_requests.begin(
            self.state.pulls,
            self.state.name,
            self.state.next_run,
            self.state.head,
            self.state.coverage_pct,
            partial(previews.may_have, self.state.previews.spec),
        )
        self.emit += emit
        for number in range(self.state.next_run, next_run):
            self.report(number, "begun")
        self.state = replace(self.state, pulls=pulls, next_run=next_run)

    def request(self) -> None:
        """A run for the change that waits longest, if none of the deployed branch is on."""
        if self.state.running is not None or not self.state.waiting:
            return
        change, number = self.state.waiting[0], self.state.next_run
        self.state = replace(
            self.state,
            waiting=self.state.waiting[1:],
            next_run=number + 1,
            running=number,
            running_commit=change.commit,
        )
        why = f"{change.actor} changed {change.branch} to {change.commit[:8]}: {change.subject}"
        asked = RunRequested(number, change, base=self.state.passed, coverage_pct=self.state.coverage_pct)
        self.emit.append(Emit(asked, why, object=run_object(self.state.name, number)))
        self.report(number, "begun")

    def request_again(self) -> None:
        """Runs that were asked for once more, in their order, as far as there is room for them."""
        left: list[RerunRequested] = []
        for asked in self.state.reruns:
            number = self.state.next_run
            run, why = reruns.again(asked, number, self.state.head)
            if reruns.is_beside(run):
                has_room, place = pull_requests.has_room(self.state.pulls), self.state.running
                pulls = pull_requests.beside(self.state.pulls, run)
            else:
                has_room, place, pulls = self.state.running is None, number, self.state.pulls
            if not has_room:
                left.append(asked)
                continue
            commit = self.state.running_commit if place != number else asked.change.commit
            self.state = replace(self.state, next_run=number + 1, running=place, running_commit=commit, pulls=pulls)
            request, spec = run.pull_request, self.state.previews.spec
            preview = request is not None and previews.may_have(spec, request)
            run = replace(run, coverage_pct=self.state.coverage_pct, preview=preview)
            self.emit.append(Emit(run, why, object=run_object(self.state.name, number)))
            self.report(number, "begun")
        self.state = replace(self.state, reruns=tuple(left))

    def keep_schedules(self, reading: ApplicationReading) -> None:
        """Runs whose time has come. The forge is told only of those that deploy: the others say nothing of a change."""
        is_free = self.state.running is None and not self.state.waiting
        state = self.state
        planning = Planning(
            *(state.name, state.head_change, reading.times, self.now, state.next_run, is_free),
            coverage_pct=state.coverage_pct,
        )
        planned, emit = planning.take(self.state.schedules)
        self.emit += emit
        self.state = replace(self.state, schedules=planned, next_run=planning.next_run)
        if planning.deploying is not None:
            self.state = replace(self.state, running=planning.deploying, running_commit=planning.commit)
            self.report(planning.deploying, "begun")

    def report(self, run: int, what: str) -> None:
        """Tell the forge, if there is one."""
        if self.state.source.forge is not None:
            report = ReportRun(self.state.name, run, self.state.source.forge)
            self.todo.append(Todo(f"report:{run}:{what}", report))

    def pulls(self, step: pull_requests.Step) -> None:
        pulls, emit = step
        self.state = replace(self.state, pulls=pulls)
        self.emit += emit

    # --- previews ---

    def of_previews(self, recorded: Recorded) -> None:
        known = self.state.previews
        match recorded.fact:
            case ReleaseOffered() as offer:
                self.previews((previews.offered(known, self.state.pulls, offer), []))
            case PreviewStarted(name=name, run=run, passed=passed):
                self.previews((previews.served(known, name) if passed else known, []))
                self.report(run, "started")
            case PreviewGone(name=name, run=run):
                self.previews((previews.gone(known, name), []))
                self.report(run, "gone")
            case PreviewCloseRequested(name=name, by=by):
                self.previews(previews.close(known, self.state.name, name, f"{by} asked for it"))
            case _:
                pass

    def previews(self, step: previews.Step) -> None:
        known, emit = step
        self.state = replace(self.state, previews=known)
        self.emit += emit

    # --- problems ---

    def reported(self, problem: Problem | None) -> None:
        self.note(self.state.report_problem, problem)
        self.state = replace(self.state, report_problem=problem)

    def note(self, before: Problem | None, problem: Problem | None) -> None:
        if problem == before:
            return
        if before is not None and (problem is None or problem.code != before.code):
            self.emit.append(Emit(ProblemCleared(before.code), "it is gone"))
        if problem is not None:
            self.emit.append(Emit(ProblemFound(problem), str(problem)))
