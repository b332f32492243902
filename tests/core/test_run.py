"""The run's decisions: steps in the order of their needs, retries, and what a failure stops."""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.core.decide.run import RunState, StepReading, decide_run
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import Action, CancelSteps, CutRelease, StartStep
from trimtab.core.model.release import Part
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification, StepSpec

CHANGE = f.Change("c" * 40, "main", "someone", "Say more", 1.0)
RELEASE = "sha256:" + "a" * 64


@dataclass
class Play:
    """A run with processes that the test ends by hand."""

    steps: tuple[StepSpec, ...]
    state: RunState = field(default_factory=lambda: RunState("shop", 1))
    now: float = 100.0
    said: list[tuple[f.Fact, str, str | None]] = field(default_factory=list)
    todo: dict[str, Action] = field(default_factory=dict)

    def see(self, *facts: f.Fact, ended: dict[str, StepReading] | None = None) -> None:
        recorded = tuple(f.Recorded("run/shop/1", fact, reason="because", at=self.now) for fact in facts)
        decision = decide_run(self.state, recorded, ended or {}, self.now)
        self.state = decision.state
        self.said += [(emit.fact, emit.reason, emit.object) for emit in decision.emit]
        self.todo |= {todo.key: todo.action for todo in decision.todo}

    def begin(self) -> None:
        self.see(f.RunRequested(1, CHANGE))
        production = EnvironmentSpec("production", 8080)
        self.see(f.SpecificationRead(Specification("shop", ServiceSpec("serve"), (production,), self.steps)))

    def started(self) -> set[str]:
        return {action.step.name for action in self.todo.values() if isinstance(action, StartStep)}

    def start(self, name: str, attempt: int = 1) -> None:
        self.see(f.StepStarted(name, attempt, f"step/shop/1/{name}/{attempt}"))

    def end(self, name: str, outcome: f.StepOutcome = "passed", attempt: int = 1, detail: str = "") -> None:
        self.start(name, attempt)
        self.see(ended={f"step/shop/1/{name}/{attempt}": StepReading(outcome, 0, 1.0, detail)})

    @property
    def finish(self) -> tuple[f.RunFinished, str]:
        fact, reason, _ = next(said for said in self.said if isinstance(said[0], f.RunFinished))
        assert isinstance(fact, f.RunFinished)
        return fact, reason


DIAMOND = (
    StepSpec("lint", "lint"),
    StepSpec("test", "test"),
    StepSpec("pack", "pack", needs=("lint", "test")),
)


def test_steps_run_as_soon_as_what_they_need_has_passed() -> None:
    play = Play(DIAMOND)
    play.begin()
    assert play.started() == {"lint", "test"}
    play.end("lint")
    assert play.started() == {"lint", "test"}
    play.end("test")
    assert play.started() == {"lint", "test", "pack"}
    play.end("pack")
    assert isinstance(play.todo["release"], CutRelease)


def test_a_release_is_offered_to_the_first_environment() -> None:
    play = Play(())
    play.begin()
    play.see(f.ReleaseCut(RELEASE, 1, CHANGE.commit, {"code": Part(RELEASE, 1, 10)}))
    assert play.finish[0].outcome == "passed"
    offered = [place for fact, _, place in play.said if isinstance(fact, f.ReleaseOffered)]
    assert offered == ["env/shop/production"]


def test_a_failed_step_stops_the_run_and_says_so() -> None:
    play = Play(DIAMOND)
    play.begin()
    play.end("lint")
    play.end("test", "failed", detail="exit code 1: AssertionError")
    fact, reason = play.finish
    assert fact.outcome == "failed"
    assert reason == "test failed, so nothing was released"
    assert play.state.steps["pack"].status == "skipped"
    assert "release" not in play.todo


def test_what_already_runs_may_end_before_the_run_fails() -> None:
    play = Play(DIAMOND)
    play.begin()
    play.start("lint")
    play.end("test", "failed")
    assert play.state.phase == "running"
    play.end("lint")
    assert play.finish[0].outcome == "failed"


def test_a_step_is_retried_as_often_as_it_says() -> None:
    play = Play((StepSpec("flaky", "flaky", retries=1),))
    play.begin()
    play.end("flaky", "failed")
    assert "step:flaky:2" in play.todo
    play.end("flaky", "passed", attempt=2)
    assert "release" in play.todo


def test_an_invalid_configuration_ends_the_run_with_all_its_problems() -> None:
    play = Play(())
    play.see(f.RunRequested(1, CHANGE))
    problems = (Problem("a", "one thing", where="trimtab.yaml:1:1"), Problem("b", "another", where="trimtab.yaml:2:1"))
    play.see(f.SpecificationRefused(problems))
    fact, reason = play.finish
    assert fact.outcome == "invalid"
    assert "2 problems" in reason
    assert "trimtab.yaml:2:1: another" in reason


def test_a_step_that_cannot_be_started_fails_with_the_cause() -> None:
    play = Play((StepSpec("test", "test"),))
    play.begin()
    play.see(f.ActionFailed("step:test:1", "StartStep", Problem("disk", "no space left")))
    assert play.finish[0].outcome == "failed"


def test_a_cancelled_run_stops_its_steps_and_releases_nothing() -> None:
    play = Play(DIAMOND)
    play.begin()
    play.start("lint")
    play.see(f.RunCancelRequested("someone", superseded=True))
    assert isinstance(play.todo["cancel"], CancelSteps)
    assert play.finish[0].outcome == "superseded"
    play.see(f.ReleaseCut(RELEASE, 1, CHANGE.commit, {}))
    assert not any(isinstance(fact, f.ReleaseOffered) for fact, _, _ in play.said)


def test_a_pull_request_deploys_nothing() -> None:
    play = Play(DIAMOND[:1])
    play.see(f.RunRequested(1, CHANGE, f.PullRequest(7, "main")))
    production = EnvironmentSpec("production", 8080)
    play.see(f.SpecificationRead(Specification("shop", ServiceSpec("serve"), (production,), play.steps)))
    assert not any(isinstance(fact, f.SpecificationRead) for fact, _, _ in play.said)
    play.end("lint")
    assert "release" not in play.todo
    assert play.finish == (
        f.RunFinished(1, "passed", None, 0.0),
        "all steps passed; pull request 7 is deployed once it is merged",
    )
