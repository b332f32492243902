"""Runs that are wanted once more: when they begin, and whether they deploy."""

from __future__ import annotations

from dataclasses import replace

from tests.core.test_application import arrived, change, running, said, see
from trimtab.core.decide.application import AppState
from trimtab.core.decide.pull_requests import AT_ONCE
from trimtab.core.model import facts as f

REQUEST = f.PullRequest(7, "main", from_fork=True)


def ended(letter: str = "a") -> AppState:
    """Run 1 of a change has ended."""
    state = see(AppState("shop"), arrived(letter)).state
    return see(state, f.RunFinished(1, "failed", None, 1.0)).state


def wanted(letter: str = "a", deploy: bool = False) -> f.RerunRequested:
    return f.RerunRequested(1, change(letter), "ann", ("test",), deploy)


def test_the_newest_change_runs_again_and_deploys() -> None:
    decision = see(ended(), wanted())
    assert said(decision, f.RunRequested) == [f.RunRequested(2, change("a"), again_of=1, fresh=("test",))]
    assert decision.emit[0].object == "run/shop/2"
    assert decision.emit[0].reason == "ann asked for run 1 again"
    assert decision.state.running == 2


def test_it_waits_for_the_run_that_is_on() -> None:
    decision = see(see(ended(), arrived("a")).state, wanted(), wanted())
    assert [run.run for run in said(decision, f.RunRequested) if isinstance(run, f.RunRequested)] == [2]
    after = see(decision.state, f.RunFinished(2, "passed", None, 1.0))
    assert [run.run for run in said(after, f.RunRequested) if isinstance(run, f.RunRequested)] == [3]
    assert after.state.reruns == ()


def test_what_is_not_the_newest_any_more_releases_nothing_and_holds_nobody_up() -> None:
    state = see(ended(), arrived("b")).state
    assert state.running == 2
    decision = see(state, wanted())
    assert said(decision, f.RunRequested) == [
        f.RunRequested(3, change("a"), again_of=1, fresh=("test",), until="steps")
    ]
    assert "main is at bbbbbbbb by now, so nothing is released" in decision.emit[0].reason
    assert decision.state.running == 2
    assert see(decision.state, f.RunFinished(3, "passed", None, 1.0)).state.pulls.running == ()


def test_it_is_deployed_all_the_same_if_somebody_says_so() -> None:
    state = see(see(ended(), arrived("b")).state, f.RunFinished(2, "passed", None, 1.0)).state
    again = said(see(state, wanted(deploy=True)), f.RunRequested)[0]
    assert isinstance(again, f.RunRequested)
    assert again.until == "deploy"


def test_what_waits_is_judged_again_when_something_newer_comes() -> None:
    state = see(running("latest"), replace(wanted(), run=0)).state
    assert state.reruns
    decision = see(state, arrived("b"))
    again = said(decision, f.RunRequested)[0]
    assert isinstance(again, f.RunRequested)
    assert (again.change, again.until) == (change("a"), "steps")
    assert decision.state.waiting == (change("b"),)


def test_one_of_a_pull_request_stays_one() -> None:
    asked = replace(wanted("c"), pull_request=REQUEST, base="d" * 40, deploy=True)
    decision = see(ended(), asked)
    again = said(decision, f.RunRequested)[0]
    assert isinstance(again, f.RunRequested)
    assert (again.pull_request, again.base) == (REQUEST, "d" * 40)
    assert decision.state.running is None
    assert decision.state.pulls.running == (2,)


def test_a_newer_head_of_the_pull_request_stops_it() -> None:
    state = see(ended(), f.PullRequestUpdated(REQUEST, change("c"))).state
    state = see(state, f.RunFinished(2, "failed", None, 1.0)).state
    state = see(state, replace(wanted("c"), run=2, pull_request=REQUEST)).state
    decision = see(state, f.PullRequestUpdated(REQUEST, change("d")))
    stopped = [emit.object for emit in decision.emit if isinstance(emit.fact, f.RunCancelRequested)]
    assert stopped == ["run/shop/3"]


def test_no_more_at_a_time_than_pull_requests_have() -> None:
    state = see(ended(), arrived("b")).state
    decision = see(state, *[wanted()] * (AT_ONCE + 1))
    assert len(said(decision, f.RunRequested)) == AT_ONCE
    assert len(decision.state.reruns) == 1


def test_the_run_of_a_schedule_stays_one() -> None:
    nightly = replace(wanted(), until="steps", only=("evals",), schedule="nightly")
    decision = see(ended(), nightly)
    assert said(decision, f.RunRequested) == [
        f.RunRequested(2, change("a"), again_of=1, fresh=("test",), until="steps", only=("evals",), schedule="nightly")
    ]
    assert decision.emit[0].reason == "ann asked for run 1 again"
    assert decision.state.running is None
