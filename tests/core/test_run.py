"""The run's decisions: steps in the order of their needs, retries, and what a failure stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from trimtab.core.decide.run import RunState, StepReading, decide_run
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import Action, CancelSteps, CutRelease, KeepStep, LookUpSteps, StartStep
from trimtab.core.model.pipeline import ConcurrencySpec, DocumentCount, DocumentWork, ForEachSpec, StepResult
from trimtab.core.model.release import Part
from trimtab.core.model.report import CoverageReport, FailedTest, ReportSpec, StepReport, TestsReport
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification, StepSpec

CHANGE = f.Change("c" * 40, "main", "someone", "Say more", 1.0)
RELEASE = "sha256:" + "a" * 64
TREE, OTHER_TREE = "sha256:" + "b" * 64, "sha256:" + "d" * 64
NOTHING: Mapping[str, Any] = {}
REQUESTED = f.RunRequested(1, CHANGE)


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

    def begin(
        self,
        taken: Mapping[str, StepResult] = NOTHING,
        left_out: Mapping[str, str] = NOTHING,
        asked: f.RunRequested = REQUESTED,
        parallel: int = 0,
    ) -> None:
        self.see(asked)
        production = EnvironmentSpec("production", 8080)
        specification = Specification("shop", ServiceSpec("serve"), (production,), self.steps, parallel=parallel)
        self.see(f.SpecificationRead(specification, left_out))
        if "look-up" in self.todo:
            self.see(f.StepsLookedUp(taken))

    def started(self) -> set[str]:
        return {action.step.name for action in self.todo.values() if isinstance(action, StartStep)}

    def start(self, name: str, attempt: int = 1, key: str = "") -> None:
        self.see(f.StepStarted(name, attempt, f"step/shop/1/{name}/{attempt}", key))

    def end(
        self,
        name: str,
        outcome: f.StepOutcome = "passed",
        attempt: int = 1,
        detail: str = "",
        code: int | None = 0,
        key: str = "",
    ) -> None:
        self.start(name, attempt, key)
        self.see(ended={f"step/shop/1/{name}/{attempt}": StepReading(outcome, code, 1.0, detail)})

    def status(self, name: str) -> str:
        return self.state.steps[name].status

    def emitted(self, kind: type[f.Fact]) -> list[tuple[f.Fact, str | None]]:
        return [(fact, place) for fact, _, place in self.said if isinstance(fact, kind)]

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


# --- what need not run -----------------------------------------------------------------------------------------------


def test_a_step_whose_outcome_is_known_does_not_run() -> None:
    play = Play(DIAMOND)
    play.begin({"lint": StepResult(None, "step/shop/0/lint/1", 2.0)})
    assert play.started() == {"test"}
    play.end("test")
    play.end("pack")
    assert isinstance(play.todo["release"], CutRelease)


def test_a_run_of_known_steps_only_goes_on_to_its_release() -> None:
    play = Play((StepSpec("build", "make", outputs=("dist",)),))
    play.begin({"build": StepResult(TREE, "step/shop/0/build/1", 2.0)})
    assert play.started() == set()
    cut = play.todo["release"]
    assert isinstance(cut, CutRelease)
    assert cut.layers == (TREE,)


def test_nothing_starts_before_it_is_known_what_need_not_run() -> None:
    play = Play(DIAMOND)
    play.see(f.RunRequested(1, CHANGE))
    production = EnvironmentSpec("production", 8080)
    play.see(f.SpecificationRead(Specification("shop", ServiceSpec("serve"), (production,), DIAMOND)))
    assert play.started() == set()
    play.see(f.ActionFailed("look-up", "LookUpSteps", Problem("step-cache-io", "no disk")))
    assert play.started() == {"lint", "test"}


def test_a_step_found_in_the_cache_when_it_was_about_to_start() -> None:
    play = Play((StepSpec("build", "make"), StepSpec("test", "test", needs=("build",))))
    play.begin()
    play.end("build")
    play.see(f.StepTaken("test", StepResult(None, "step/shop/0/test/1", 2.0)))
    assert "release" in play.todo


def test_outputs_are_kept_before_those_start_that_need_them() -> None:
    build = StepSpec("build", "make", outputs=("dist",))
    play = Play((build, StepSpec("test", "test", needs=("build",)), StepSpec("more", "more", needs=("test",))))
    play.begin()
    play.end("build", key="key")
    keep = play.todo["keep:build:1"]
    assert isinstance(keep, KeepStep)
    assert (keep.key, keep.scope) == ("key", "branch")
    assert play.started() == {"build"}
    play.see(f.StepKept("build", 1, TREE))
    start = play.todo["step:test:1"]
    assert isinstance(start, StartStep)
    assert start.layers == (TREE,)
    play.end("test")
    after = play.todo["step:more:1"]
    assert isinstance(after, StartStep)
    assert after.layers == (TREE,), "what is needed through others is there, too"


def test_nobody_waits_for_what_is_only_remembered_for_later_runs() -> None:
    play = Play((StepSpec("lint", "lint"), StepSpec("test", "test", needs=("lint",))))
    play.begin()
    play.end("lint", key="key")
    assert [key for key in play.todo if ":" in key][-2:] == ["step:test:1", "keep:lint:1"], "the next step starts first"
    play.see(f.StepKept("lint", 1, None), f.ActionFailed("keep:lint:1", "KeepStep", Problem("step-cache-io", "full")))
    assert play.status("lint") == "passed"
    play.end("test")
    assert "release" in play.todo


def test_outputs_that_do_not_appear_fail_the_step() -> None:
    play = Play((StepSpec("build", "make", outputs=("dist",)),))
    play.begin()
    play.end("build")
    play.see(f.ActionFailed("keep:build:1", "KeepStep", Problem("output-missing", "there is no `dist`")))
    fact, reason = play.finish
    assert fact.outcome == "failed"
    failed = [said for said in play.said if isinstance(said[0], f.StepFinished)]
    assert "there is no `dist`" in failed[0][1]
    assert "build" in reason


def test_a_step_that_the_change_does_not_concern_is_left_out() -> None:
    play = Play(DIAMOND)
    play.begin(left_out={"lint": "nothing of src has changed"})
    assert play.started() == {"test"}
    look = play.todo["look-up"]
    assert isinstance(look, LookUpSteps)
    assert [(step.name, step.needs) for step in look.steps] == [("test", ()), ("pack", ("test",))]
    play.end("test")
    play.end("pack")
    assert "release" in play.todo


def test_only_so_many_steps_run_side_by_side() -> None:
    play = Play(tuple(StepSpec(f"s{number}", "true") for number in range(5)))
    play.begin(parallel=2)
    assert len(play.started()) == 2
    play.end("s0")
    assert len(play.started()) == 3


# --- what is not the change's fault ----------------------------------------------------------------------------------


def test_a_step_that_was_lost_is_run_again_without_a_retry() -> None:
    play = Play((StepSpec("test", "test"),))
    play.begin()
    play.end("test", "lost", detail="its supervisor is gone")
    assert "step:test:2" in play.todo
    play.end("test", "passed", attempt=2)
    assert "release" in play.todo


def test_a_step_that_is_lost_again_and_again_is_told_apart_from_one_that_fails() -> None:
    play = Play((StepSpec("test", "test"),))
    play.begin()
    for attempt in (1, 2, 3):
        play.end("test", "lost", attempt=attempt, detail="its supervisor is gone")
    fact, reason = play.finish
    assert fact.outcome == "lost"
    assert "not the change's fault" in reason


def test_only_some_exit_codes_are_worth_another_try() -> None:
    for code, again in ((75, True), (1, False)):
        play = Play((StepSpec("test", "test", retries=1, retry_codes=(75,)),))
        play.begin()
        play.end("test", "failed", code=code)
        assert ("step:test:2" in play.todo) == again


def test_a_retry_waits_as_long_as_it_says() -> None:
    play = Play((StepSpec("test", "test", retries=1, retry_delay_s=30.0),))
    play.begin()
    play.end("test", "failed", code=1)
    assert "step:test:2" not in play.todo
    assert decide_run(play.state, (), {}, play.now).look_at == play.now + 30.0
    play.now += 30.0
    play.see()
    assert "step:test:2" in play.todo


@pytest.mark.parametrize(("code", "outcome"), [("outputs-missing", "lost"), ("part-empty", "failed")])
def test_a_release_that_could_not_be_cut_says_whose_fault_it_is(code: str, outcome: str) -> None:
    play = Play(())
    play.begin()
    play.see(f.ActionFailed("release", "CutRelease", Problem(code, "it is not there")))
    assert play.finish[0].outcome == outcome


# --- pull requests ---------------------------------------------------------------------------------------------------


def test_a_pull_request_releases_nothing_and_is_not_trusted_from_a_fork() -> None:
    asked = f.RunRequested(1, CHANGE, f.PullRequest(7, "main", from_fork=True))
    play = Play((StepSpec("test", "test"),))
    play.begin(asked=asked)
    start = play.todo["step:test:1"]
    assert isinstance(start, StartStep)
    assert not start.trusted
    assert start.scopes == ("pull-request-7", "branch")
    play.end("test", key="key")
    keep = play.todo["keep:test:1"]
    assert isinstance(keep, KeepStep)
    assert keep.scope == "pull-request-7"
    assert play.finish[0].outcome == "passed"
    assert "release" not in play.todo


# --- turns -----------------------------------------------------------------------------------------------------------


TURNS = (StepSpec("migrate", "migrate", concurrency=ConcurrencySpec("database")),)


def test_a_step_waits_for_its_turn_and_gives_it_back() -> None:
    play = Play(TURNS)
    play.begin()
    assert play.emitted(f.TurnAsked) == [(f.TurnAsked(1, "migrate", "queue"), "turn/shop/database")]
    assert play.started() == set()
    play.see(f.TurnGiven("migrate"))
    assert play.started() == {"migrate"}
    play.end("migrate")
    assert play.emitted(f.TurnReturned) == [(f.TurnReturned(1, "migrate"), "turn/shop/database")]


def test_a_cancelled_run_gives_back_the_turn_it_has_not_had() -> None:
    play = Play(TURNS)
    play.begin()
    play.see(f.RunCancelRequested("someone"))
    assert play.emitted(f.TurnReturned) == [(f.TurnReturned(1, "migrate"), "turn/shop/database")]


def test_a_run_whose_turn_is_refused_is_superseded() -> None:
    play = Play(TURNS)
    play.begin()
    play.see(f.TurnRefused("migrate", 2))
    fact, reason = play.finish
    assert fact.outcome == "superseded"
    assert "run 2" in reason


def test_a_pull_request_deploys_nothing() -> None:
    play = Play(DIAMOND[:1])
    play.begin(asked=f.RunRequested(1, CHANGE, f.PullRequest(7, "main")))
    assert not any(isinstance(fact, f.SpecificationRead) for fact, _, _ in play.said)
    play.end("lint")
    assert "release" not in play.todo
    assert play.finish == (
        f.RunFinished(1, "passed", None, 0.0),
        "all steps passed; pull request 7 is deployed once it is merged",
    )


# --- reports ---------------------------------------------------------------------------------------------------------

JUNIT = ReportSpec("junit", ("report.xml",))
TESTED = StepSpec("test", "pytest", reports=(JUNIT,))
RED = StepReport(tests=TestsReport(3, 1, 0, 1.0, (FailedTest("test_cart", "no"),)))


def covered(pct: int, before_pct: float | None = None) -> StepReport:
    return StepReport(coverage=CoverageReport(100, pct, before_pct))


def kept(play: Play, name: str, attempt: int = 1) -> KeepStep:
    keep = play.todo[f"keep:{name}:{attempt}"]
    assert isinstance(keep, KeepStep)
    return keep


@pytest.mark.parametrize("outcome", ["failed", "timed_out"])
def test_a_step_that_failed_is_asked_for_its_report_before_the_run_fails(outcome: f.StepOutcome) -> None:
    play = Play((TESTED,))
    play.begin()
    play.end("test", outcome, detail="exit code 1", code=1, key="key")
    keep = kept(play, "test")
    assert (keep.passed, keep.scope, keep.key) == (False, None, ""), "nothing of it goes into the cache"
    assert not play.emitted(f.RunFinished)
    play.see(f.StepKept("test", 1, None, RED))
    assert play.finish[0].outcome == "failed"
    assert play.state.steps["test"].report == RED


def test_a_step_that_failed_is_tried_again_after_its_report() -> None:
    play = Play((replace(TESTED, retries=1),))
    play.begin()
    play.end("test", "failed")
    assert "step:test:2" not in play.todo
    play.see(f.StepKept("test", 1, None, RED))
    assert "step:test:2" in play.todo
    assert play.state.steps["test"].report is None, "what the next attempt says is not known yet"


def test_a_report_that_cannot_be_collected_changes_no_outcome() -> None:
    play = Play((TESTED,))
    play.begin()
    play.end("test", "failed", detail="exit code 1")
    play.see(f.ActionFailed("keep:test:1", "KeepStep", Problem("workspace-io", "no disk")))
    (finished,) = [fact for fact, _ in play.emitted(f.StepFinished)]
    assert isinstance(finished, f.StepFinished)
    assert (finished.outcome, finished.detail) == ("failed", "exit code 1")


def test_nobody_asks_a_step_for_reports_that_was_lost_or_never_started() -> None:
    play = Play((TESTED,))
    play.begin()
    play.end("test", "lost")
    assert "keep:test:1" not in play.todo
    play = Play((TESTED,))
    play.begin()
    play.see(f.ActionFailed("step:test:1", "StartStep", Problem("secret-missing", "there is no TOKEN")))
    assert "keep:test:1" not in play.todo
    assert play.finish[0].outcome == "failed"


def test_a_step_that_passed_by_itself_fails_by_what_it_reports() -> None:
    step = StepSpec("test", "pytest", reports=(ReportSpec("coverage", ("c.xml",), required=True, min_pct=80.0),))
    play = Play((step,))
    play.begin()
    play.end("test", key="key")
    play.see(f.StepKept("test", 1, None, covered(79)))
    (finished,) = [fact for fact, _ in play.emitted(f.StepFinished)]
    assert isinstance(finished, f.StepFinished)
    assert finished.outcome == "failed"
    assert finished.detail == "79 % of the lines are covered, and it must be 80 % at least"
    assert play.finish[0].outcome == "failed"


def test_coverage_is_compared_with_what_it_was_and_handed_on() -> None:
    steps = (StepSpec("test", "pytest", reports=(ReportSpec("coverage", ("c.xml",)),)), StepSpec("more", "more"))
    before = {"test": 80.0, "more": 50.0, "gone": 1.0}
    play = Play(steps)
    play.begin(asked=f.RunRequested(1, CHANGE, coverage_pct=before))
    play.end("test")
    assert kept(play, "test").coverage_pct == 80.0
    look, start = play.todo["look-up"], play.todo["step:test:1"]
    assert isinstance(look, LookUpSteps)
    assert isinstance(start, StartStep)
    assert (look.coverage_pct, start.coverage_pct) == (before, 80.0)
    play.see(f.StepKept("test", 1, None, covered(85, 80.0)))
    play.end("more")
    play.see(f.ReleaseCut(RELEASE, 1, CHANGE.commit, {}))
    assert play.finish[0].coverage_pct == {"test": 85.0, "more": 50.0}, "of steps that are gone nothing is remembered"


def test_a_step_from_the_cache_brings_its_report() -> None:
    play = Play((TESTED, StepSpec("next", "next", needs=("test",))))
    play.begin({"test": StepResult(None, "step/shop/0/test/1", 2.0, covered(90))})
    assert play.state.steps["test"].report == covered(90)


# --- how far a run goes ---


def asked(**wishes: Any) -> f.RunRequested:
    return f.RunRequested(1, CHANGE, **wishes)


def test_a_run_that_is_to_run_its_steps_makes_no_release() -> None:
    play = Play((StepSpec("test", "test"),))
    play.begin(asked=asked(until="steps"))
    play.end("test")
    assert play.finish[0].outcome == "passed"
    assert not any(isinstance(action, CutRelease) for action in play.todo.values())
    assert play.finish[1] == "all steps passed; nothing was to be released"


def test_a_run_that_is_to_make_a_release_offers_it_to_nobody() -> None:
    play = Play(())
    play.begin(asked=asked(until="release"))
    play.see(f.ReleaseCut(RELEASE, 1, CHANGE.commit, {"code": Part(TREE, 1, 1)}))
    assert play.finish[0].release == RELEASE
    assert play.emitted(f.ReleaseOffered) == []


def test_what_is_asked_for_is_passed_on_to_whoever_reads_the_specification() -> None:
    play = Play(DIAMOND)
    play.begin(asked=asked(only=("lint",)), left_out={"test": "not asked for", "pack": "not asked for"})
    assert getattr(play.todo["specification"], "only") == ("lint",)  # noqa: B009
    assert play.started() == {"lint"}


def test_going_on_after_a_failure_runs_all_that_do_not_need_it() -> None:
    steps = (*DIAMOND, StepSpec("docs", "docs", needs=("lint",)), StepSpec("last", "last", needs=("docs",)))
    play = Play(steps)
    play.begin(asked=asked(keep_going=True, until="steps"), parallel=1)
    play.end("lint")
    play.end("test", "failed", code=1)
    assert play.started() == {"lint", "test", "docs"}
    play.end("docs")
    play.end("last")
    assert play.status("pack") == "skipped"
    assert play.finish[0].outcome == "failed"
    assert play.finish[1] == "test failed"


def test_going_on_after_a_failure_waits_for_a_turn() -> None:
    steps = (StepSpec("test", "test"), StepSpec("deploy", "deploy", concurrency=ConcurrencySpec("one")))
    play = Play(steps)
    play.begin(asked=asked(keep_going=True))
    play.end("test", "failed", code=1)
    assert play.state.phase == "running"
    play.see(f.TurnGiven("deploy"))
    play.end("deploy")
    assert play.finish[1] == "test failed, so nothing was released"


WORK = DocumentWork("sha256:1", "sha256:2", DocumentCount(1, 2))
EMBED = StepSpec("embed", "embed", retries=1, outputs=("index",), for_each=ForEachSpec(("docs/",)))


def test_what_a_step_was_started_with_goes_on_to_where_its_results_are_kept() -> None:
    play = Play((EMBED,))
    play.begin()
    play.see(f.StepStarted("embed", 1, "step/shop/1/embed/1", "sha256:3", WORK))
    play.see(ended={"step/shop/1/embed/1": StepReading("failed", 1, 1.0, "")})
    assert play.state.steps["embed"].documents is None
    again = DocumentWork("sha256:1", "sha256:9", DocumentCount(0, 3))
    play.see(f.StepStarted("embed", 2, "step/shop/1/embed/2", "sha256:3", again))
    play.see(ended={"step/shop/1/embed/2": StepReading("passed", 0, 1.0, "")})
    keep = play.todo["keep:embed:2"]
    assert isinstance(keep, KeepStep)
    assert (keep.documents, keep.commit) == (again, CHANGE.commit)


def test_only_a_run_afresh_builds_what_is_known_of_documents() -> None:
    for fresh in ((), ("embed",)):
        play = Play((EMBED,))
        play.begin(asked=replace(REQUESTED, fresh=fresh))
        play.end("embed", "failed", code=1)
        starts = [play.todo[f"step:embed:{attempt}"] for attempt in (1, 2)]
        assert [isinstance(start, StartStep) and start.anew for start in starts] == [bool(fresh)] * 2
