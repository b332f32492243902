"""The run's moves: what follows from facts, and from the processes that ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from trimtab.core.decide.run.state import DONE, UNDER_WAY, RunState, StepReading, StepState
from trimtab.core.decide.run.trying import is_infrastructure, tried
from trimtab.core.errors import Problem
from trimtab.core.model.actions import (
    CancelSteps,
    CleanWorkspace,
    CutRelease,
    KeepStep,
    LookUpSteps,
    ReadSpecification,
    StartStep,
)
from trimtab.core.model.decision import Decision, Emit, Todo
from trimtab.core.model.facts import (
    ActionFailed,
    Recorded,
    ReleaseCut,
    ReleaseOffered,
    RunCancelRequested,
    RunFinished,
    RunOutcome,
    RunRequested,
    SpecificationRead,
    SpecificationRefused,
    StepFinished,
    StepKept,
    StepsLookedUp,
    StepStarted,
    StepTaken,
    TurnAsked,
    TurnGiven,
    TurnRefused,
    TurnReturned,
)
from trimtab.core.model.identity import Digest, EnvironmentId, app_object, short, turn_object
from trimtab.core.model.pipeline import StepResult, StepSpec, in_order, layers_of, needed_by
from trimtab.core.model.report import objections
from trimtab.core.model.specification import Specification
from trimtab.core.say import count, duration

AGAIN = "`trimtab rerun` tries again"
POLL_S = 1.0
"""How often running steps are looked at when nothing wakes the run earlier."""


def decide_run(
    state: RunState, facts: tuple[Recorded, ...], ended: Mapping[str, StepReading], now: float, processors: int = 2
) -> Decision[RunState]:
    """What follows from facts and from the processes that `ended` (by the process's name)."""
    work = _Work(state, now, processors)
    for recorded in facts:
        work.see(recorded)
    work.steps_ended(ended)
    work.advance()
    return work.decision()


class _Work:
    """One decision in the making. Local to the call: nothing outlives it."""

    def __init__(self, state: RunState, now: float, processors: int) -> None:
        self.state, self.now, self.processors = state, now, processors
        self.todo: list[Todo] = []
        self.later: list[Todo] = []
        self.emit: list[Emit] = []

    def decision(self) -> Decision[RunState]:
        finished = self.state.phase == "finished"
        steps = self.state.steps.values()
        times = [self.now + POLL_S] if any(step.status == "running" for step in steps) else []
        times += [step.not_before for step in steps if step.status == "waiting" and step.not_before > self.now]
        look_at = min(times) if times and not finished else None
        return Decision(self.state, (*self.todo, *self.later), tuple(self.emit), look_at, ended=finished)

    @property
    def specification(self) -> Specification:
        assert self.state.specification is not None
        return self.state.specification

    def spec(self, name: str) -> StepSpec:
        return next(spec for spec in self.specification.steps if spec.name == name)

    # --- facts ---

    def see(self, recorded: Recorded) -> None:
        if self.state.phase == "finished":
            return
        match recorded.fact:
            case RunRequested() as asked:
                self.requested(asked)
            case SpecificationRead() as read:
                self.specified(read)
            case SpecificationRefused(problems=problems):
                said = "; ".join(str(problem) for problem in problems)
                self.finish("invalid", f"{count(len(problems), 'problem')} in trimtab.yaml: {said}")
            case StepsLookedUp(taken=taken):
                self.state = replace(self.state, looked_up=True)
                for name, result in taken.items():
                    self.step_taken(name, result)
            case StepTaken(step=name, result=result):
                self.step_taken(name, result)
            case StepStarted(step=name, process=process, key=key, documents=documents):
                begun = {"process": process, "started_at": recorded.at, "key": key, "documents": documents}
                self.set_step(name, status="running", **begun)
            case StepKept() as kept:
                self.step_kept(kept)
            case TurnGiven(step=name):
                self.turn_given(name)
            case TurnRefused(step=name, by=newer):
                self.cancel(
                    True, f"stopped for run {newer}: {name} waited for its turn, and only the newest was to wait"
                )
            case ReleaseCut(release=release) as cut:
                self.released(release, cut)
            case RunCancelRequested(by=by, superseded=superseded):
                said = f"stopped for a newer change: {recorded.reason}" if superseded else f"{by} cancelled it"
                self.cancel(superseded, said)
            case ActionFailed(kind=kind, problem=problem, action=key):
                self.action_failed(kind, key, problem)
            case _:
                pass

    def requested(self, asked: RunRequested) -> None:
        self.state = replace(
            self.state,
            change=asked.change,
            started_at=self.now,
            pull_request=asked.pull_request,
            preview=asked.preview,
            schedule=asked.schedule,
            again_of=asked.again_of,
            fresh=asked.fresh,
            coverage_pct=asked.coverage_pct,
            until=asked.until,
            keep_going=asked.keep_going,
        )
        request, change = asked.pull_request, asked.change
        branch = request.base if request is not None else change.branch
        read = ReadSpecification(
            *(self.state.app, change.commit, asked.base, branch, request is not None),
            only=asked.only,
            schedule=asked.schedule,
        )
        self.todo.append(Todo("specification", read))

    def specified(self, read: SpecificationRead) -> None:
        steps = {step.name: StepState() for step in read.specification.steps}
        self.state = replace(
            self.state, phase="running", specification=read.specification, steps=steps, templates=read.templates
        )
        if self.state.pull_request is None and not self.state.schedule:
            # What is not on the deployed branch decides nothing for it, nor what may be older than what is by now.
            self.emit.append(Emit(read, object=app_object(self.state.app)))
        for name in read.left_out:
            self.set_step(name, status="left_out")
        concerned = tuple(
            replace(spec, needs=tuple(need for need in spec.needs if need not in read.left_out))
            for spec in in_order(read.specification.steps)
            if spec.name not in read.left_out
        )
        if any(spec.cached for spec in concerned) or self.state.again_of is not None:
            self.state = replace(self.state, looked_up=False)
            change = self.state.change
            assert change is not None
            look = LookUpSteps(
                self.state.app,
                self.state.number,
                change.commit,
                concerned,
                scopes_of(self.state),
                self.state.again_of,
                self.state.fresh,
                self.state.coverage_pct,
            )
            self.todo.append(Todo("look-up", look))

    def action_failed(self, kind: str, key: str, problem: Problem) -> None:
        said = str(problem)
        if kind == "StartStep":
            name = key.split(":")[1]
            self.step_ended(
                name,
                self.state.steps[name],
                StepReading("lost" if is_infrastructure(problem) else "failed", None, 0.0, said),
            )
        elif kind == "KeepStep":
            name = key.split(":")[1]
            reading = self.state.steps[name].reading
            if reading is None:
                return  # see `step_kept`
            if reading.outcome == "passed":
                self.give_up(name, replace(reading, outcome="failed", detail=said))
            else:
                self.settle(name, reading)
        elif kind == "LookUpSteps":
            # Only time is lost by not knowing.
            self.state = replace(self.state, looked_up=True)
        elif kind == "ReadSpecification":
            self.finish("lost" if is_infrastructure(problem) else "invalid", said)
        elif kind == "CutRelease":
            outcome: RunOutcome = "lost" if is_infrastructure(problem) else "failed"
            self.finish(outcome, f"the release could not be cut: {said}")

    def cancel(self, superseded: bool, reason: str) -> None:
        self.todo.append(Todo("cancel", CancelSteps(self.state.app, self.state.number)))
        for name, step in self.state.steps.items():
            if step.status == "waiting" or step.status in UNDER_WAY:
                self.set_step(name, status="cancelled")
        self.finish("superseded" if superseded else "cancelled", reason)

    def released(self, release: Digest, cut: ReleaseCut) -> None:
        change, request = self.state.change, self.state.pull_request
        assert change is not None
        said = f"release {short(release)} ({', '.join(sorted(cut.parts))}) was cut from {change.commit[:8]}"
        if self.state.until == "deploy":
            first = EnvironmentId(self.state.app, self.specification.environments[0].name)
            to = first.object_id if request is None else app_object(self.state.app)
            offer = ReleaseOffered(release, self.state.number, self.specification, change.commit, change.subject)
            self.emit.append(Emit(offer, f"run {self.state.number} passed", object=to))
            if request is not None:
                said += f" for a preview; {request} is deployed once it is merged"
        self.finish("passed", said, release)

    # --- steps ---

    def set_step(self, name: str, **changes: object) -> None:
        step = replace(self.state.steps[name], **changes)  # type: ignore[arg-type]
        self.state = replace(self.state, steps={**self.state.steps, name: step})

    def steps_ended(self, ended: Mapping[str, StepReading]) -> None:
        for name, step in self.state.steps.items():
            reading = ended.get(step.process) if step.status == "running" else None
            if reading is not None:
                self.step_ended(name, step, reading)

    def step_ended(self, name: str, step: StepState, reading: StepReading) -> None:
        spec, passed = self.spec(name), reading.outcome == "passed"
        reports = bool(spec.reports and step.process) and reading.outcome in ("passed", "failed", "timed_out")
        if not reports and not (passed and (spec.outputs or step.key)):
            self.settle(name, reading)
            return
        kept = passed and step.key
        keep = KeepStep(
            *(self.state.app, self.state.number, spec, step.attempt, step.process, reading.duration_s),
            key=step.key if kept else "",
            scope=scopes_of(self.state)[0] if kept else None,
            passed=passed,
            coverage_pct=self.state.coverage_pct.get(name),
            commit=self.state.change.commit if self.state.change is not None else "",
            documents=step.documents,
        )
        if spec.outputs or reports:
            self.set_step(name, status="keeping", reading=reading)
            self.todo.append(Todo(f"keep:{name}:{step.attempt}", keep))
        else:
            # Nobody waits for that: it is remembered for later runs, and what comes next starts first.
            self.settle(name, reading)
            self.later.append(Todo(f"keep:{name}:{step.attempt}", keep))

    def settle(self, name: str, reading: StepReading) -> None:
        """What follows from an attempt of which all is known."""
        if reading.outcome == "passed":
            self.passed(name, reading)
            return
        trial = tried(self.spec(name), self.state.steps[name], reading, self.now)
        if trial.again is None:
            self.give_up(name, reading, trial.said)
        else:
            self.step_finished(name, reading, trial.said)
            self.state = replace(self.state, steps={**self.state.steps, name: trial.again})

    def step_taken(self, name: str, result: StepResult) -> None:
        known = {"process": result.process, "outputs": result.outputs, "duration_s": result.duration_s}
        self.set_step(name, status="passed", report=result.report, **known)
        self.return_turn(name)

    def step_kept(self, kept: StepKept) -> None:
        name = kept.step
        reading = self.state.steps[name].reading
        if reading is None:
            return  # it was remembered for later runs, and nobody has waited for that
        self.set_step(name, outputs=kept.outputs, reading=None, report=kept.report)
        said = objections(self.spec(name).reports, kept.report) if reading.outcome == "passed" else ()
        self.settle(name, replace(reading, outcome="failed", detail="; ".join(said)) if said else reading)

    def passed(self, name: str, reading: StepReading) -> None:
        self.step_finished(name, reading, f"{name} passed in {duration(reading.duration_s)}")
        self.set_step(name, status="passed", duration_s=reading.duration_s)
        self.return_turn(name)

    def give_up(self, name: str, reading: StepReading, said: str = "") -> None:
        """The step has failed for good."""
        self.step_finished(name, reading, said or f"{name} failed: {reading.detail}")
        losses = self.state.steps[name].losses + (reading.outcome == "lost")
        self.set_step(name, status="failed", reading=reading, losses=losses)
        self.return_turn(name)

    def step_finished(self, name: str, reading: StepReading, said: str) -> None:
        attempt = self.state.steps[name].attempt
        finished = StepFinished(name, attempt, reading.outcome, reading.exit_code, reading.duration_s, reading.detail)
        self.emit.append(Emit(finished, said))

    # --- turns ---

    def turn_given(self, name: str) -> None:
        if self.state.steps[name].status == "waiting":
            self.set_step(name, turn="given")
        else:
            self.return_turn(name)

    def return_turn(self, name: str) -> None:
        concurrency, turn = self.spec(name).concurrency, self.state.steps[name].turn
        if concurrency is not None and turn:
            place = turn_object(self.state.app, concurrency.group)
            self.emit.append(Emit(TurnReturned(self.state.number, name), object=place))
            self.set_step(name, turn="")

    def has_turn(self, spec: StepSpec) -> bool:
        """Whether the step need not wait for others of its concurrency group; asks for its turn."""
        if spec.concurrency is None or self.state.steps[spec.name].turn == "given":
            return True
        if self.state.steps[spec.name].turn == "":
            asked = TurnAsked(self.state.number, spec.name, spec.concurrency.pending)
            self.emit.append(Emit(asked, object=turn_object(self.state.app, spec.concurrency.group)))
            self.set_step(spec.name, turn="asked")
        return False

    # --- what is next ---

    def advance(self) -> None:
        """Start what may start; end the run when nothing more can."""
        if self.state.phase != "running" or not self.state.looked_up:
            return
        failed = [name for name, step in self.state.steps.items() if step.status == "failed"]
        if not failed or self.state.keep_going:
            self.start_what_may()
        steps = self.state.steps.values()
        if any(step.status in UNDER_WAY for step in steps):
            return
        if failed and self.state.keep_going and self.may_go_on():
            return
        if failed:
            self.fail(failed)
        elif all(step.status in DONE for step in steps):
            self.release()

    def may_go_on(self) -> bool:
        """Whether a step waits that needs none of those that failed: for its turn, or for its next attempt."""
        ordered, steps = in_order(self.specification.steps), self.state.steps
        waiting = [spec for spec in ordered if steps[spec.name].status == "waiting"]
        return any(all(steps[need].status != "failed" for need in needed_by(ordered, spec.name)) for spec in waiting)

    def start_what_may(self) -> None:
        ordered = in_order(self.specification.steps)
        free = (self.specification.parallel or self.processors) - sum(
            step.status in ("starting", "running") for step in self.state.steps.values()
        )
        for spec in ordered:
            step = self.state.steps[spec.name]
            if step.status != "waiting" or step.not_before > self.now:
                continue
            if free <= 0:
                return
            if all(self.state.steps[need].status in DONE for need in spec.needs) and self.has_turn(spec):
                self.start(spec, self.layers(needed_by(ordered, spec.name)))
                free -= 1

    def start(self, spec: StepSpec, layers: tuple[Digest, ...]) -> None:
        change, attempt = self.state.change, self.state.steps[spec.name].attempt + 1
        assert change is not None
        pull_request = self.state.pull_request
        start = StartStep(
            *(self.state.app, self.state.number, change.commit, spec, attempt, layers),
            scopes=scopes_of(self.state) if spec.cached else (),
            trusted=pull_request is None or not pull_request.from_fork,
            fresh=spec.name in self.state.fresh or attempt > 1,
            coverage_pct=self.state.coverage_pct.get(spec.name),
            schedule=self.state.schedule,
            anew=spec.name in self.state.fresh,
        )
        self.todo.append(Todo(f"step:{spec.name}:{attempt}", start))
        self.set_step(spec.name, status="starting", attempt=attempt)

    def layers(self, names: Iterable[str]) -> tuple[Digest, ...]:
        return layers_of(self.state.steps[name].outputs for name in names)

    def fail(self, failed: list[str]) -> None:
        for name, step in self.state.steps.items():
            if step.status == "waiting":
                self.set_step(name, status="skipped")
        readings = [self.state.steps[name].reading for name in failed]
        if all(reading is not None and reading.outcome == "lost" for reading in readings):
            said = f"{' and '.join(failed)} could not be run to the end: not the change's fault"
            self.finish("lost", said if self.state.until == "steps" else f"{said}. Nothing was released; {AGAIN}")
        else:
            said = f"{' and '.join(failed)} failed"
            self.finish("failed", said if self.state.until == "steps" else f"{said}, so nothing was released")

    def release(self) -> None:
        change, request = self.state.change, self.state.pull_request
        assert change is not None
        if request is not None and not self.state.preview:
            self.finish("passed", f"all steps passed; {request} is deployed once it is merged")
            return
        if self.state.until == "steps":
            self.finish("passed", "all steps passed; nothing was to be released")
            return
        self.state = replace(self.state, phase="cutting")
        layers = self.layers(spec.name for spec in in_order(self.specification.steps))
        cut = CutRelease(self.state.app, self.state.number, change, self.specification, layers, request is not None)
        self.todo.append(Todo("release", cut))

    def finish(self, outcome: RunOutcome, reason: str, release: Digest | None = None) -> None:
        for name in self.state.steps:
            self.return_turn(name)
        self.state = replace(self.state, phase="finished")
        took_s = self.now - self.state.started_at
        finished = RunFinished(self.state.number, outcome, release, took_s, covered_pct(self.state))
        self.emit.append(Emit(finished, reason))
        self.emit.append(Emit(finished, reason, object=app_object(self.state.app)))
        self.todo.append(Todo("clean", CleanWorkspace(self.state.app, self.state.number)))


def covered_pct(state: RunState) -> Mapping[str, float]:
    """What the tests of each step cover; of a step that had no part in the run, what they covered before."""
    known = {
        name: step.report.coverage.pct
        for name, step in state.steps.items()
        if step.report is not None and step.report.coverage is not None
    }
    return {name: state.coverage_pct[name] for name in state.steps if name in state.coverage_pct} | known


def scopes_of(state: RunState) -> tuple[str, ...]:
    """The parts of the cache that the run reads; it writes to the first. What a pull request keeps there is no use to
    the deployed branch, and what somebody from outside keeps is none to anybody else: it may be poisoned."""
    pull_request = state.pull_request
    if pull_request is None:
        return ("branch",)
    return (f"pull-request-{pull_request.number}" if pull_request.from_fork else "pull-requests", "branch")
