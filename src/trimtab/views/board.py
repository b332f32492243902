"""The board: every read model, folded from Facts one at a time. Fold the same facts and you get the same board."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.identity import EnvironmentId, ObjectId, app_of, kind_of, parse_environment, run_object
from trimtab.core.model.specification import Specification
from trimtab.core.model.strategy import RolloutStep
from trimtab.views.model import (
    AppView,
    ArmView,
    EnvironmentView,
    OverviewView,
    ReleaseView,
    RolloutView,
    RunView,
    StepView,
)

_PAUSABLE = frozenset({"starting", "shifting", "observing"})


class Board:
    """Feed it facts in the order of their numbers (`apply`); ask it for views. `seq` is the last fact it has seen."""

    def __init__(self) -> None:
        self.seq = 0
        self._heads: dict[str, f.Change | None] = {}
        self._problems: dict[str, dict[str, Problem]] = {}
        """Of each application itself, by code."""
        self._places: dict[str, tuple[str, ...]] = {}
        """The environments of each application in the order of its newest specification."""
        self._runs: dict[ObjectId, RunView] = {}
        self._environments: dict[ObjectId, EnvironmentView] = {}
        self._rollouts: dict[ObjectId, RolloutView] = {}
        self._releases: dict[str, ReleaseView] = {}

    def apply(self, facts: Iterable[f.Recorded]) -> None:
        for recorded in facts:
            if recorded.seq <= self.seq:
                continue
            self.seq = recorded.seq
            fold: Callable[[f.Recorded], None] | None = {
                "app": self._app,
                "run": self._run,
                "env": self._environment,
                "rollout": self._rollout,
            }.get(kind_of(recorded.object))
            if fold is not None:
                fold(recorded)

    # --- views ---

    def apps(self) -> tuple[AppView, ...]:
        return tuple(self._app_view(name) for name in sorted(self._heads))

    def app(self, name: str) -> AppView | None:
        return self._app_view(name) if name in self._heads else None

    def runs(self, app: str) -> tuple[RunView, ...]:
        """Newest first."""
        return tuple(sorted((run for run in self._runs.values() if run.app == app), key=lambda run: -run.number))

    def run(self, app: str, number: int) -> RunView | None:
        return self._runs.get(run_object(app, number))

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
        problems = tuple(self._problems.get(name, {}).values())
        return AppView(name, self._heads[name], tuple(views), runs[0] if runs else None, problems)

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
            app, asked = app_of(recorded.object), recorded.fact
            self._runs[recorded.object] = RunView(app, asked.run, asked.change, "running", recorded.reason, recorded.at)
            return
        if run is None:
            return
        match recorded.fact:
            case f.SpecificationRead(specification=specification):
                steps = tuple(StepView(step.name, "waiting") for step in specification.steps)
                run = replace(run, steps=steps)
            case f.StepStarted(step=name, attempt=attempt, process=process):
                run = _with_step(
                    run,
                    name,
                    status="running",
                    attempt=attempt,
                    process=process,
                    started_at=recorded.at,
                    duration_s=None,
                    detail="",
                )
            case f.StepFinished(step=name, outcome=outcome, duration_s=duration_s, detail=detail):
                run = _with_step(run, name, status=outcome, duration_s=duration_s, detail=detail)
            case f.ReleaseCut() as cut:
                run = replace(run, release=cut.release)
                self._cut(run.app, cut, recorded.at)
            case f.RunFinished(outcome=outcome, duration_s=duration_s):
                steps = tuple(replace(s, status="skipped") if s.status == "waiting" else s for s in run.steps)
                run = replace(run, status=outcome, reason=recorded.reason, duration_s=duration_s, steps=steps)
            case _:
                return
        self._runs[recorded.object] = run

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
                pass

    def _found(self, environment: EnvironmentId, problem: Problem) -> None:
        self._clear(environment, problem.code)
        problems = self._environments[environment.object_id].problems
        self._place(environment, problems=(*problems, problem))

    def _clear(self, environment: EnvironmentId, code: str) -> None:
        known = self._environments.get(environment.object_id)
        problems = tuple(problem for problem in known.problems if problem.code != code) if known else ()
        self._place(environment, problems=problems)

    def _rollout(self, recorded: f.Recorded) -> None:
        _, app, environment, number = recorded.object.split("/")
        if isinstance(recorded.fact, f.RolloutRequested):
            asked, cut = recorded.fact, self._releases.get(recorded.fact.release)
            self._rollouts[recorded.object] = RolloutView(
                app,
                environment,
                int(number),
                asked.release,
                asked.stable,
                strategy="",
                status="starting",
                reason=recorded.reason,
                started_at=recorded.at,
                subject=cut.subject if cut else "",
                steps=_steps(asked, environment),
            )
            return
        rollout = self._rollouts.get(recorded.object)
        if rollout is not None:
            self._rollouts[recorded.object] = _fold_rollout(rollout, recorded)


def _steps(asked: f.RolloutRequested, environment: str) -> tuple[RolloutStep, ...]:
    place = asked.specification.environment(environment)
    return () if place is None or asked.instant or asked.stable is None else place.strategy.steps


def _with_step(run: RunView, name: str, **changes: object) -> RunView:
    steps = tuple(
        replace(step, **changes) if step.name == name else step  # type: ignore[arg-type]
        for step in run.steps
    )
    return replace(run, steps=steps)


def _fold_rollout(view: RolloutView, recorded: f.Recorded) -> RolloutView:
    match recorded.fact:
        case f.RolloutStarted(strategy=strategy, weights_pct=weights):
            return replace(view, strategy=strategy, weights_pct=weights, reason=recorded.reason)
        case f.InstancesReady():
            return replace(view, reason=recorded.reason)
        case f.StepEntered(index=index, weight_pct=weight):
            status = "paused" if view.status == "paused" else "shifting"
            return replace(
                view,
                step=index,
                weight_pct=weight,
                verified_at=None,
                step_requests=0,
                status=status,
                promote_evidence_pct={},
                reason=recorded.reason,
            )
        case f.WeightVerified():
            return replace(
                view,
                status=_moving(view, "observing"),
                verified_at=recorded.at,
                step_requests=0,
                reason=recorded.reason,
            )
        case f.WeightLost():
            return replace(view, status=_moving(view, "shifting"), verified_at=None, reason=recorded.reason)
        case f.EvidenceCounted() as tick:
            return _fold_tick(view, tick, recorded.reason)
        case f.VerdictReached(verdict=verdict):
            status = {"PASS": "promoting", "FAIL": "returning"}.get(verdict, view.status)
            return replace(view, verdict=verdict, status=status, reason=recorded.reason)
        case f.PromoteRequested():
            return replace(view, status="promoting", reason=recorded.reason)
        case f.AbortRequested():
            return replace(view, status="returning", reason=recorded.reason)
        case f.PauseRequested():
            return replace(view, status="paused" if view.status in _PAUSABLE else view.status)
        case f.ResumeRequested():
            return replace(view, status="observing" if view.verified_at else "shifting")
        case f.RolloutEnded(outcome=outcome, duration_s=duration_s):
            weight = 100.0 if outcome == "promoted" else 0.0
            return replace(view, status=outcome, reason=recorded.reason, duration_s=duration_s, weight_pct=weight)
        case _:
            return view


def _moving(view: RolloutView, status: str) -> str:
    return "paused" if view.status == "paused" else status


def _fold_tick(view: RolloutView, tick: f.EvidenceCounted, reason: str) -> RolloutView:
    return replace(
        view,
        reason=reason,
        step_requests=view.step_requests + tick.candidate_requests,
        candidate=ArmView(
            view.candidate.requests + tick.candidate_requests,
            view.candidate.errors + tick.candidate_errors,
            tick.candidate_p95_ms or view.candidate.p95_ms,
        ),
        baseline=ArmView(
            view.baseline.requests + tick.stable_requests,
            view.baseline.errors + tick.stable_errors,
            tick.stable_p95_ms or view.baseline.p95_ms,
        ),
        rollback_evidence_pct=_share(tick.rollback_log_e, tick.rollback_at),
        promote_evidence_pct={name: _share(log_e, tick.promote_at) for name, log_e in tick.promote_log_e.items()},
    )


def _share(log_e: float, threshold: float) -> float:
    return min(100.0, max(0.0, 100.0 * log_e / threshold))
