"""Pull requests: which head gets a run when, and that no run outlives its reason."""

from __future__ import annotations

from dataclasses import replace

from tests.core.test_application import arrived, change, said, see
from trimtab.core.decide.application import LONGEST_S, ApplicationReading, AppState, decide_application, wants_look
from trimtab.core.decide.pull_requests import AT_ONCE, PullReading
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import ReportRun
from trimtab.core.model.decision import Decision
from trimtab.core.model.forge import ForgeSpec

FORGE = ForgeSpec("github", "org/shop", "https://api.github.com")
POLLED = f.AppRegistered(poll_url="https://github.com/org/shop.git", forge=FORGE)
PROBLEM = Problem("git-remote-timeout", "the remote does not answer")


def pull(number: int, base: str = "main") -> f.PullRequest:
    return f.PullRequest(number, base)


def updated(number: int, letter: str) -> f.PullRequestUpdated:
    return f.PullRequestUpdated(pull(number), change(letter))


def looking(*pulls: tuple[int, str], closed: tuple[str, ...] = ()) -> ApplicationReading:
    opened = tuple((pull(number), change(letter)) for number, letter in pulls)
    return ApplicationReading(pulls=PullReading(opened, closed))


def runs(decision: Decision[AppState]) -> list[tuple[int, str]]:
    """Of each run that was asked for, the number and the letter of its change."""
    asked = said(decision, f.RunRequested)
    return [(fact.run, fact.change.commit[0]) for fact in asked if isinstance(fact, f.RunRequested)]


def cancelled(decision: Decision[AppState]) -> list[tuple[str | None, bool]]:
    return [
        (emit.object, emit.fact.superseded) for emit in decision.emit if isinstance(emit.fact, f.RunCancelRequested)
    ]


def test_a_pull_request_runs_beside_the_deployed_branch() -> None:
    decision = see(AppState("shop"), arrived("a"), updated(7, "b"))
    assert runs(decision) == [(1, "a"), (2, "b")]
    asked = [fact for fact in said(decision, f.RunRequested) if isinstance(fact, f.RunRequested)]
    assert [fact.pull_request for fact in asked] == [None, pull(7)]
    assert decision.state.running == 1
    again = see(decision.state, f.RunFinished(2, "passed", None, 1.0), arrived("c"))
    assert runs(again) == []  # the deployed branch's own run is still on


def test_the_same_head_runs_once() -> None:
    state = see(AppState("shop"), updated(7, "b")).state
    assert runs(see(state, updated(7, "b"), reading=looking((7, "b")))) == []
    done = see(state, f.RunFinished(1, "failed", None, 1.0)).state
    assert runs(see(done, reading=looking((7, "b")))) == []


def test_a_newer_head_takes_the_place_of_the_older_one() -> None:
    state = see(AppState("shop"), updated(7, "b"), updated(8, "c")).state
    decision = see(state, reading=looking((7, "d")))
    assert cancelled(decision) == [("run/shop/1", True)]
    assert runs(decision) == [(3, "d")]
    assert [type(fact).__name__ for fact in said(decision, f.PullRequestUpdated)] == ["PullRequestUpdated"]


def test_a_closed_pull_request_needs_no_run() -> None:
    state = see(AppState("shop"), updated(7, "b")).state
    decision = see(state, reading=looking(closed=("pull/7",)))
    assert cancelled(decision) == [("run/shop/1", False)]
    assert said(decision, f.PullRequestClosed) == [f.PullRequestClosed(pull(7))]
    assert decision.state.pulls.open == ()
    assert runs(see(decision.state, updated(7, "b"))) == [(2, "b")]  # opened once more


def test_only_some_run_at_a_time_and_the_others_wait_in_order() -> None:
    many = tuple(updated(number, letter) for number, letter in enumerate("bcdefg", 1))
    decision = see(AppState("shop"), *many)
    assert [letter for _, letter in runs(decision)] == list("bcde")
    assert len(decision.state.pulls.running) == AT_ONCE
    waiting = see(decision.state, updated(5, "h"), reading=looking(closed=("pull/1",)))
    assert runs(waiting) == []  # a run that is being cancelled still has its place
    after = see(waiting.state, f.RunFinished(1, "cancelled", None, 1.0), f.RunFinished(2, "passed", None, 1.0))
    assert runs(after) == [(5, "h"), (6, "g")]


def test_one_that_waits_and_is_closed_gets_no_run() -> None:
    many = tuple(updated(number, letter) for number, letter in enumerate("bcdef", 1))
    state = see(AppState("shop"), *many, f.PullRequestClosed(pull(5))).state
    assert runs(see(state, f.RunFinished(1, "passed", None, 1.0))) == []


def test_another_forge_has_other_pull_requests() -> None:
    own = f.PullRequestUpdated(f.PullRequest(0, "main", name="mine"), change("c"))
    state = see(AppState("shop", source=POLLED), updated(7, "b"), own).state
    decision = see(state, f.AppRegistered())
    assert [kept.request.name for kept in decision.state.pulls.open] == ["mine"]
    assert cancelled(decision) == [("run/shop/1", False)]


def reports(decision: Decision[AppState]) -> list[str]:
    return [todo.key for todo in decision.todo if isinstance(todo.action, ReportRun)]


def test_the_forge_is_told_of_each_run_when_it_begins_and_when_it_ends() -> None:
    decision = see(AppState("shop", source=POLLED), arrived("a"), updated(7, "b"))
    assert reports(decision) == ["report:1:begun", "report:2:begun"]
    ended = see(decision.state, f.RunFinished(2, "passed", None, 1.0), f.RunFinished(99, "passed", None, 1.0))
    assert reports(ended) == ["report:2:ended"]
    assert reports(see(AppState("shop"), arrived("a"))) == []


def test_a_forge_that_cannot_be_told_is_a_problem_until_it_can() -> None:
    problem = Problem("forge-token", "the token may not do that")
    failed = see(AppState("shop", source=POLLED), f.ActionFailed("report:1:begun", "ReportRun", problem))
    assert said(failed, f.ProblemFound) == [f.ProblemFound(problem)]
    again = see(failed.state, f.ActionFailed("report:1:ended", "ReportRun", problem))
    assert not again.emit
    told = see(again.state, f.ActionDone("report:2:begun", "ReportRun"))
    assert said(told, f.ProblemCleared) == [f.ProblemCleared("forge-token")]


def look(state: AppState, *facts: f.Fact, problem: Problem | None, now: float) -> AppState:
    recorded = tuple(f.Recorded("app/shop", fact) for fact in facts)
    decision = decide_application(state, recorded, ApplicationReading(problem=problem), now)
    assert decision.look_at == decision.state.look_at
    return decision.state


def test_a_remote_that_fails_is_asked_less_and_less_and_at_once_when_it_is_heard_of() -> None:
    state = AppState("shop", source=replace(POLLED, poll_interval_s=30.0))
    waits = []
    for _ in range(7):
        state = look(state, problem=PROBLEM, now=1000.0)
        waits.append(state.look_at - 1000.0)
    assert waits == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0]
    assert not wants_look(state, (), 1599.0)
    assert wants_look(state, (), 1600.0)
    heard = f.ForgeNotified("1", "main was pushed to")
    assert wants_look(state, (f.Recorded("app/shop", heard),), 1001.0)
    assert look(state, heard, problem=PROBLEM, now=1001.0).look_at == 1061.0
    assert look(state, problem=None, now=1600.0).look_at == 1630.0


def test_a_clock_that_was_set_back_stops_no_polling() -> None:
    state = look(AppState("shop", source=POLLED), problem=None, now=100_000.0)
    assert not wants_look(state, (), 100_001.0)
    assert wants_look(state, (), 100_000.0 - LONGEST_S - 1.0)


def test_a_run_that_ends_is_no_reason_to_ask_the_remote() -> None:
    state = look(AppState("shop", source=POLLED), problem=PROBLEM, now=100.0)
    finished = f.Recorded("app/shop", f.RunFinished(1, "passed", None, 1.0))
    assert not wants_look(state, (finished,), 101.0)
    kept = decide_application(state, (finished,), ApplicationReading(looked=False), 101.0)
    assert kept.state.problem == PROBLEM
    assert kept.look_at == state.look_at
