"""The board: every read model, folded from Facts one at a time. Fold the same facts and you get the same board."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from trimtab.core.decide.previews import name_of
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.identity import (
    EnvironmentId,
    ObjectId,
    app_of,
    kind_of,
    parse_environment,
    rollout_object,
    run_object,
)
from trimtab.core.model.specification import Specification
from trimtab.views import runs
from trimtab.views.holds import hold
from trimtab.views.model import (
    AppView,
    EnvironmentView,
    OverviewView,
    ReleaseView,
    RolloutView,
    RunView,
    ScheduleView,
)
from trimtab.views.previews import preview
from trimtab.views.rollouts import begin, fold
from trimtab.views.schedules import planned

FOLDS = 4
"""Raise it when the same facts fold to other views than before, so that no snapshot of older folds is used. A change of
the views' own fields is noticed without."""


@dataclass(frozen=True, slots=True)
class AppPart:
    """What the board knows of an application itself."""

    name: str
    known: bool
    """Whether there was a fact for it, and not only for a release of it."""
    head: f.Change | None
    problems: tuple[Problem, ...]
    places: tuple[str, ...] | None
    schedules: tuple[ScheduleView, ...] = ()


BoardPart = AppPart | RunView | EnvironmentView | RolloutView | ReleaseView
PARTS: tuple[type[BoardPart], ...] = (AppPart, RunView, EnvironmentView, RolloutView, ReleaseView)


class Board:
    """Feed it facts in the order of their numbers (`apply`); ask it for views. `seq` is the last fact it has seen."""

    def __init__(self) -> None:
        self.seq = 0
        self._heads: dict[str, f.Change | None] = {}
        self._problems: dict[str, dict[str, Problem]] = {}
        """Of each application itself, by code."""
        self._places: dict[str, tuple[str, ...]] = {}
        """The environments of each application in the order of its newest specification."""
        self._schedules: dict[str, tuple[ScheduleView, ...]] = {}
        """Of each application, without their runs."""
        self._runs: dict[ObjectId, RunView] = {}
        self._environments: dict[ObjectId, EnvironmentView] = {}
        self._rollouts: dict[ObjectId, RolloutView] = {}
        self._releases: dict[str, ReleaseView] = {}

    def apply(self, facts: Iterable[f.Recorded]) -> None:
        for recorded in facts:
            if recorded.seq <= self.seq:
                continue
            self.seq = recorded.seq
            of_kind: Callable[[f.Recorded], None] | None = {
                "app": self._app,
                "run": self._run,
                "env": self._environment,
                "rollout": self._rollout,
            }.get(kind_of(recorded.object))
            if of_kind is not None:
                of_kind(recorded)

    # --- taken apart and put together ---

    def parts(self) -> list[BoardPart]:
        """All that the board knows. They do not change when it learns more."""
        names = dict.fromkeys((*self._heads, *self._problems, *self._places, *self._schedules))
        views = (self._runs, self._environments, self._rollouts, self._releases)
        return [*map(self._app_part, names), *(view for of_kind in views for view in of_kind.values())]

    @classmethod
    def of(cls, seq: int, parts: Iterable[object]) -> Board:
        """The board that gave these parts when `seq` was the last fact it had seen."""
        board = cls()
        board.seq = seq
        for part in parts:
            board._take(part)
        return board

    def _app_part(self, name: str) -> AppPart:
        problems = tuple(self._problems.get(name, {}).values())
        places, schedules = self._places.get(name), self._schedules.get(name, ())
        return AppPart(name, name in self._heads, self._heads.get(name), problems, places, schedules)

    def _take(self, part: object) -> None:
        match part:
            case AppPart(name=name):
                if part.known:
                    self._heads[name] = part.head
                if part.problems:
                    self._problems[name] = {problem.code: problem for problem in part.problems}
                if part.places is not None:
                    self._places[name] = part.places
                if part.schedules:
                    self._schedules[name] = part.schedules
            case RunView():
                self._runs[run_object(part.app, part.number)] = part
            case EnvironmentView():
                self._environments[EnvironmentId(part.app, part.name).object_id] = part
            case RolloutView():
                place = EnvironmentId(part.app, part.environment)
                self._rollouts[rollout_object(place, part.number)] = part
            case ReleaseView():
                self._releases[part.release] = part
            case _:
                raise AssertionError(f"no part of a board: {part}")

    # --- views ---

    def apps(self) -> tuple[AppView, ...]:
        return tuple(self._app_view(name) for name in sorted(self._heads))

    def app(self, name: str) -> AppView | None:
        return self._app_view(name) if name in self._heads else None

    def runs(self, app: str) -> tuple[RunView, ...]:
        """Newest first."""
        mine = (self._with_preview(run) for run in self._runs.values() if run.app == app)
        return tuple(sorted(mine, key=lambda run: -run.number))

    def run(self, app: str, number: int) -> RunView | None:
        known = self._runs.get(run_object(app, number))
        return known and self._with_preview(known)

    def _with_preview(self, run: RunView) -> RunView:
        if run.pull_request is None:
            return run
        place = self._environments.get(EnvironmentId(run.app, name_of(run.pull_request)).object_id)
        is_its_own = place is not None and place.preview is not None and place.preview.run == run.number
        return replace(run, preview=place.preview) if place is not None and is_its_own else run

    def releases(self, app: str) -> tuple[ReleaseView, ...]:
        """Newest first."""
        mine = [self._release_view(release) for release in self._releases.values() if release.app == app]
        return tuple(sorted(mine, key=lambda release: -release.cut_at))

    def rollouts(self, environment: EnvironmentId) -> tuple[RolloutView, ...]:
        """Newest first."""
        mine = [r for r in self._rollouts.values() if (r.app, r.environment) == (environment.app, environment.name)]
        return tuple(sorted(mine, key=lambda rollout: -rollout.number))

    def environment(self, environment: EnvironmentId) -> EnvironmentView | None:
        known = self._environments.get(environment.object_id)
        if known is None:
            return None
        rollouts = self.rollouts(environment)
        return replace(known, rollout=rollouts[0] if rollouts else None)

    def overview(self, name: str, limit: int) -> OverviewView | None:
        """The application with its newest `limit` runs, and as many rollouts of each environment."""
        app = self.app(name)
        if app is None:
            return None
        places = (EnvironmentId(name, place.name) for place in app.environments)
        rollouts = {place.name: self.rollouts(place)[:limit] for place in places}
        return OverviewView(app, self.runs(name)[:limit], rollouts)

    def _app_view(self, name: str) -> AppView:
        mine = [parse_environment(key) for key in self._environments if app_of(key) == name]
        order = self._places.get(name, ())
        mine.sort(key=lambda place: order.index(place.name) if place.name in order else len(order))
        views = [view for place in mine if (view := self.environment(place)) is not None]
        runs = self.runs(name)
        return AppView(
            name,
            self._heads[name],
            tuple(view for view in views if view.preview is None),
            next((run for run in runs if run.pull_request is None and not run.schedule), None),
            tuple(self._problems.get(name, {}).values()),
            tuple(run for run in runs if run.pull_request is not None and run.status == "running"),
            tuple(sorted((view for view in views if view.preview is not None), key=lambda view: view.name)),
            tuple(_with_last_run(schedule, runs) for schedule in self._schedules.get(name, ())),
        )

    def _release_view(self, release: ReleaseView) -> ReleaseView:
        mine = [place for place in self._environments.values() if place.app == release.app]
        outcome = {
            rollout.environment: rollout.status if rollout.ended else "running"
            for rollout in sorted(self._rollouts.values(), key=lambda rollout: rollout.number)
            if rollout.release == release.release and rollout.app == release.app
        }
        live_in = tuple(place.name for place in mine if place.live == release.release)
        return replace(release, live_in=live_in, outcome=outcome)

    # --- folds ---

    def _app(self, recorded: f.Recorded) -> None:
        name = app_of(recorded.object)
        self._heads.setdefault(name, None)
        match recorded.fact:
            case f.ChangeArrived(change=change):
                self._heads[name] = change
            case f.SpecificationRead(specification=specification):
                self._specified(specification)
            case f.SchedulesPlanned() | f.ScheduleSkipped():
                self._schedules[name] = planned(self._schedules.get(name, ()), recorded)
            case f.ProblemFound(problem=problem):
                self._problems.setdefault(name, {})[problem.code] = problem
            case f.ProblemCleared(code=code):
                self._problems.get(name, {}).pop(code, None)
            case _:
                pass

    def _specified(self, specification: Specification) -> None:
        self._places[specification.app] = tuple(place.name for place in specification.environments)
        for place in specification.environments:
            self._place(EnvironmentId(specification.app, place.name), address=f"{place.host}:{place.port}")

    def _run(self, recorded: f.Recorded) -> None:
        run = self._runs.get(recorded.object)
        if isinstance(recorded.fact, f.RunRequested):
            self._runs[recorded.object] = runs.begin(recorded, recorded.fact)
            return
        if run is None:
            return
        if isinstance(recorded.fact, f.ReleaseCut) and not recorded.fact.for_preview:
            self._cut(run.app, recorded.fact, recorded.at)
        self._runs[recorded.object] = runs.fold(run, recorded)

    def _cut(self, app: str, cut: f.ReleaseCut, at: float) -> None:
        """The same content from another commit is the same release: its first commit names it."""
        parts = {name: part.digest for name, part in cut.parts.items()}
        view = ReleaseView(cut.release, app, cut.run, cut.commit, cut.subject, at, parts)
        self._releases.setdefault(cut.release, view)

    def _place(self, environment: EnvironmentId, **changes: object) -> None:
        known = self._environments.get(environment.object_id) or EnvironmentView(environment.app, environment.name)
        self._environments[environment.object_id] = replace(known, **changes)  # type: ignore[arg-type]

    def _environment(self, recorded: f.Recorded) -> None:
        environment = parse_environment(recorded.object)
        if environment.is_preview:
            known = self._environments.get(recorded.object)
            if isinstance(recorded.fact, f.PreviewGone):
                self._forget(environment)
                return
            if known is None and not isinstance(recorded.fact, f.PreviewOpened):
                return  # it is gone
            changed = preview(known or EnvironmentView(environment.app, environment.name), recorded)
            self._environments[recorded.object] = changed
        match recorded.fact:
            case f.ReleaseOffered(specification=specification):
                self._specified(specification)
            case f.DesiredCommitted(release=release) | f.DesiredAdopted(release=release):
                self._place(environment, desired=release)
                self._clear(environment, "desired")
            case f.DesiredRefused(problem=problem):
                self._found(environment, replace(problem, code="desired"))
            case f.LiveChanged(release=release, previous=previous):
                self._place(environment, live=release, previous=previous, live_since=recorded.at)
            case f.ProblemFound(problem=problem):
                self._found(environment, problem)
            case f.ProblemCleared(code=code):
                self._clear(environment, code)
            case _:
                known = self._environments.get(environment.object_id)
                known = known or EnvironmentView(environment.app, environment.name)
                self._environments[environment.object_id] = hold(known, recorded)

    def _forget(self, environment: EnvironmentId) -> None:
        self._environments.pop(environment.object_id, None)
        for rollout in self.rollouts(environment):
            self._rollouts.pop(rollout_object(environment, rollout.number), None)

    def _found(self, environment: EnvironmentId, problem: Problem) -> None:
        self._clear(environment, problem.code)
        problems = self._environments[environment.object_id].problems
        self._place(environment, problems=(*problems, problem))

    def _clear(self, environment: EnvironmentId, code: str) -> None:
        known = self._environments.get(environment.object_id)
        problems = tuple(problem for problem in known.problems if problem.code != code) if known else ()
        self._place(environment, problems=problems)

    def _rollout(self, recorded: f.Recorded) -> None:
        if isinstance(recorded.fact, f.RolloutRequested):
            cut = self._releases.get(recorded.fact.release)
            run = self._runs.get(run_object(app_of(recorded.object), recorded.fact.run or 0))
            subject = cut.subject if cut else run.change.subject if run else ""
            self._rollouts[recorded.object] = begin(recorded, recorded.fact, subject)
            return
        rollout = self._rollouts.get(recorded.object)
        if rollout is not None:
            self._rollouts[recorded.object] = fold(rollout, recorded)


def _with_last_run(schedule: ScheduleView, newest_first: Iterable[RunView]) -> ScheduleView:
    return replace(schedule, run=next((run for run in newest_first if run.schedule == schedule.name), None))
