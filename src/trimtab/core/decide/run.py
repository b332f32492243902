"""The run: the pipeline's steps in the order of their needs, then the release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from trimtab.core.model.actions import CancelSteps, CleanWorkspace, CutRelease, ReadSpecification, StartStep
from trimtab.core.model.decision import Decision, Emit, Todo
from trimtab.core.model.facts import (
    ActionFailed,
    Change,
    PullRequest,
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
    StepOutcome,
    StepStarted,
)
from trimtab.core.model.identity import Digest, EnvironmentId, app_object, short
from trimtab.core.model.specification import Specification
from trimtab.core.say import count, duration

POLL_S = 1.0
"""How often running steps are looked at when nothing wakes the run earlier."""

StepStatus = Literal["waiting", "starting", "running", "passed", "failed", "cancelled", "skipped"]


@dataclass(frozen=True, slots=True)
class StepState:
    status: StepStatus = "waiting"
    attempt: int = 0
    process: str = ""
    started_at: float = 0.0


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
    """What the run is of, if it is not of the deployed branch: then nothing is released."""


@dataclass(frozen=True, slots=True)
class StepReading:
    """How a step's process ended."""

    outcome: StepOutcome
    exit_code: int | None
    duration_s: float
    detail: str


def decide_run(
    state: RunState, facts: tuple[Recorded, ...], ended: Mapping[str, StepReading], now: float
) -> Decision[RunState]:
    """What follows from facts and from the processes that `ended` (by the process's name)."""
    work = _Work(state, now)
    for recorded in facts:
        work.see(recorded)
    work.steps_ended(ended)
    work.advance()
    return work.decision()


class _Work:
    """One decision in the making. Local to the call: nothing outlives it."""

    def __init__(self, state: RunState, now: float) -> None:
        self.state, self.now = state, now
        self.todo: list[Todo] = []
        self.emit: list[Emit] = []

    def decision(self) -> Decision[RunState]:
        finished = self.state.phase == "finished"
        running = any(step.status == "running" for step in self.state.steps.values())
        look_at = self.now + POLL_S if running and not finished else None
        return Decision(self.state, tuple(self.todo), tuple(self.emit), look_at, ended=finished)

    # --- facts ---

    def see(self, recorded: Recorded) -> None:
        if self.state.phase == "finished":
            return
        match recorded.fact:
            case RunRequested(change=change, pull_request=pull_request):
                self.state = replace(self.state, change=change, started_at=self.now, pull_request=pull_request)
                self.todo.append(Todo("specification", ReadSpecification(self.state.app, change.commit)))
            case SpecificationRead(specification=specification) as fact:
                steps = {step.name: StepState() for step in specification.steps}
                self.state = replace(self.state, phase="running", specification=specification, steps=steps)
                if self.state.pull_request is None:  # what a pull request asks for is not in force before it is merged
                    self.emit.append(Emit(fact, object=app_object(self.state.app)))
            case SpecificationRefused(problems=problems):
                said = "; ".join(str(problem) for problem in problems)
                self.finish("invalid", f"{count(len(problems), 'problem')} in trimtab.yaml: {said}")
            case StepStarted(step=name, process=process):
                self.set_step(name, status="running", process=process, started_at=recorded.at)
            case ReleaseCut(release=release) as cut:
                self.released(release, cut)
            case RunCancelRequested(by=by, superseded=superseded):
                self.cancel(by, superseded, recorded.reason)
            case ActionFailed(kind=kind, problem=problem, action=key):
                self.action_failed(kind, key, str(problem))
            case _:
                pass

    def action_failed(self, kind: str, key: str, said: str) -> None:
        if kind == "StartStep":
            name = key.split(":")[1]
            attempt = self.state.steps[name].attempt
            self.emit.append(Emit(StepFinished(name, attempt, "failed", None, 0.0, said), f"{name}: {said}"))
            self.set_step(name, status="failed")
        elif kind == "ReadSpecification":
            self.finish("invalid", said)
        elif kind == "CutRelease":
            self.finish("failed", f"the release could not be cut: {said}")

    def cancel(self, by: str, superseded: bool, reason: str) -> None:
        self.todo.append(Todo("cancel", CancelSteps(self.state.app, self.state.number)))
        for name, step in self.state.steps.items():
            if step.status in ("waiting", "starting", "running"):
                self.set_step(name, status="cancelled")
        if superseded:
            self.finish("superseded", f"stopped for a newer change: {reason}")
        else:
            self.finish("cancelled", f"{by} cancelled it")

    def released(self, release: Digest, cut: ReleaseCut) -> None:
        specification, change = self.state.specification, self.state.change
        assert specification is not None
        assert change is not None
        first = EnvironmentId(self.state.app, specification.environments[0].name)
        offer = ReleaseOffered(release, self.state.number, specification, change.commit, change.subject)
        self.emit.append(Emit(offer, f"run {self.state.number} passed", object=first.object_id))
        parts = ", ".join(sorted(cut.parts))
        self.finish("passed", f"release {short(release)} ({parts}) was cut from {change.commit[:8]}", release)

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
        assert self.state.specification is not None
        took = duration(reading.duration_s)
        if reading.outcome == "passed":
            reason = f"{name} passed in {took}"
            self.set_step(name, status="passed")
        else:
            how = reading.outcome.replace("_", " ")
            reason = f"{name} {how} after {took}: {reading.detail}"
            retries = next(spec.retries for spec in self.state.specification.steps if spec.name == name)
            again = step.attempt <= retries
            if again:
                reason += f" (attempt {step.attempt} of {retries + 1}, trying again)"
            self.set_step(name, status="waiting" if again else "failed")
        finished = StepFinished(
            name, step.attempt, reading.outcome, reading.exit_code, reading.duration_s, reading.detail
        )
        self.emit.append(Emit(finished, reason))

    def advance(self) -> None:
        """Start what may start; end the run when nothing more can."""
        specification, change = self.state.specification, self.state.change
        if self.state.phase != "running" or specification is None or change is None:
            return
        failed = [name for name, step in self.state.steps.items() if step.status == "failed"]
        if not failed:
            for spec in specification.steps:
                step = self.state.steps[spec.name]
                if step.status == "waiting" and all(self.state.steps[need].status == "passed" for need in spec.needs):
                    attempt = step.attempt + 1
                    start = StartStep(self.state.app, self.state.number, change.commit, spec, attempt)
                    self.todo.append(Todo(f"step:{spec.name}:{attempt}", start))
                    self.set_step(spec.name, status="starting", attempt=attempt)
        if any(step.status in ("starting", "running") for step in self.state.steps.values()):
            return
        if failed:
            for name, step in self.state.steps.items():
                if step.status == "waiting":
                    self.set_step(name, status="skipped")
            self.finish("failed", f"{' and '.join(failed)} failed, so nothing was released")
        elif self.state.pull_request is not None:
            self.finish("passed", f"all steps passed; {self.state.pull_request} is deployed once it is merged")
        else:
            self.state = replace(self.state, phase="cutting")
            cut = CutRelease(self.state.app, self.state.number, change, specification)
            self.todo.append(Todo("release", cut))

    def finish(self, outcome: RunOutcome, reason: str, release: Digest | None = None) -> None:
        self.state = replace(self.state, phase="finished")
        finished = RunFinished(self.state.number, outcome, release, self.now - self.state.started_at)
        self.emit.append(Emit(finished, reason))
        self.emit.append(Emit(finished, reason, object=app_object(self.state.app)))
        self.todo.append(Todo("clean", CleanWorkspace(self.state.app, self.state.number)))
