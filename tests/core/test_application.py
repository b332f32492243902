"""The application's decisions: every change gets its run, one at a time, never silently dropped."""

from __future__ import annotations

from trimtab.core.decide.application import ApplicationReading, AppState, decide_application
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.decision import Decision
from trimtab.core.model.specification import NewerPolicy


def change(letter: str) -> f.Change:
    return f.Change(letter * 40, "main", "someone", f"Change {letter}", 1.0)


def see(state: AppState, *facts: f.Fact, reading: ApplicationReading | None = None) -> Decision[AppState]:
    recorded = tuple(f.Recorded("app/shop", fact) for fact in facts)
    return decide_application(state, recorded, reading or ApplicationReading(), 100.0)


def arrived(letter: str) -> f.ChangeArrived:
    return f.ChangeArrived(change(letter), "push")


def said(decision: Decision[AppState], kind: type[f.Fact]) -> list[f.Fact]:
    return [emit.fact for emit in decision.emit if isinstance(emit.fact, kind)]


def running(policy: NewerPolicy) -> AppState:
    state = see(AppState("shop", policy=policy), arrived("a")).state
    assert state.running == 1
    return state


def test_a_change_gets_the_next_run() -> None:
    decision = see(AppState("shop"), arrived("a"))
    assert said(decision, f.RunRequested) == [f.RunRequested(1, change("a"))]
    assert decision.emit[0].object == "run/shop/1"


def test_the_same_change_twice_is_one_run() -> None:
    state = running("latest")
    assert not see(state, arrived("a")).emit


def test_a_push_that_nobody_announced_is_found() -> None:
    decision = see(AppState("shop"), reading=ApplicationReading(change("a")))
    assert [type(emit.fact).__name__ for emit in decision.emit] == ["ChangeArrived", "RunRequested"]
    assert not see(decision.state, reading=ApplicationReading(change("a"))).emit


def test_latest_runs_only_the_newest_of_those_that_waited() -> None:
    decision = see(running("latest"), arrived("b"), arrived("c"))
    assert said(decision, f.ChangeSuperseded) == [f.ChangeSuperseded(change("b"), change("c").commit)]
    after = see(decision.state, f.RunFinished(1, "passed", None, 1.0))
    assert said(after, f.RunRequested) == [f.RunRequested(2, change("c"), base=change("a").commit)]


def test_queue_runs_all_in_order() -> None:
    decision = see(running("queue"), arrived("b"), arrived("c"))
    after = see(decision.state, f.RunFinished(1, "passed", None, 1.0))
    assert said(after, f.RunRequested) == [f.RunRequested(2, change("b"), base=change("a").commit)]
    assert after.state.waiting == (change("c"),)


def test_cancel_stops_the_running_one() -> None:
    decision = see(running("cancel"), arrived("b"))
    assert [emit.object for emit in decision.emit] == ["run/shop/1"]
    assert said(decision, f.RunCancelRequested)


def test_a_repository_that_cannot_be_read_is_a_problem_until_it_can() -> None:
    problem = Problem("git-remote-timeout", "the remote does not answer")
    decision = see(AppState("shop"), reading=ApplicationReading(problem=problem))
    assert said(decision, f.ProblemFound)
    assert not see(decision.state, reading=ApplicationReading(problem=problem)).emit
    assert said(see(decision.state), f.ProblemCleared)


def test_a_run_is_compared_with_the_newest_change_that_passed() -> None:
    state = see(AppState("shop"), arrived("a")).state
    state = see(state, f.RunFinished(1, "passed", None, 1.0)).state
    state = see(state, arrived("b")).state
    state = see(state, f.RunFinished(2, "failed", None, 1.0)).state
    asked = [emit.fact for emit in see(state, arrived("c")).emit if isinstance(emit.fact, f.RunRequested)]
    assert [fact.base for fact in asked] == [state.passed]
    assert state.passed is not None
    assert state.passed.startswith("a")


def test_runs_are_told_what_was_covered_when_a_change_passed_the_last_time() -> None:
    failed = see(running("queue"), f.RunFinished(1, "failed", None, 1.0, {"test": 10.0}), arrived("b"))
    assert said(failed, f.RunRequested) == [f.RunRequested(2, change("b"))]
    request, base = f.PullRequest(7, "main"), change("b").commit
    passed = see(failed.state, f.RunFinished(2, "passed", None, 1.0, {"test": 80.0}), arrived("c"))
    assert said(passed, f.RunRequested) == [f.RunRequested(3, change("c"), base=base, coverage_pct={"test": 80.0})]
    pulled = see(passed.state, f.PullRequestUpdated(request, change("d")))
    (asked,) = said(pulled, f.RunRequested)
    assert asked == f.RunRequested(4, change("d"), request, base=change("c").commit, coverage_pct={"test": 80.0})
    after = see(pulled.state, f.RunFinished(4, "passed", None, 1.0, {"test": 99.0}))
    assert after.state.coverage_pct == {"test": 80.0}, "a pull request is no measure for others"
