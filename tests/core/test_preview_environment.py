"""An environment that is a preview: what it does when it is opened, replaced and closed, and what is not for it."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.decide.environment import (
    DesiredReading,
    EnvironmentReading,
    EnvironmentState,
    decide_environment,
)
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import ApplyRoute, RemoveEnvironment, RetireRelease, StartInstances
from trimtab.core.model.decision import Decision
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification
from trimtab.core.model.strategy import StrategySpec
from trimtab.core.model.traffic import Endpoint, Instance, TrafficReading

PLACE = EnvironmentId("shop", "preview-7")
HEAD = Specification(
    "shop", ServiceSpec("serve"), (EnvironmentSpec("preview-7", 9000, strategy=StrategySpec("instant", steps=())),)
)
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NOTHING = EnvironmentReading()
DOWN = EnvironmentReading(traffic=TrafficReading(problem=Problem("gateway-down", "no answer")))


def opened(run: int, release: str) -> f.PreviewOpened:
    return f.PreviewOpened(f.PullRequest(7, "main"), run, release, HEAD, "http://127.0.0.1:9000", 3600.0)


def ended(number: int, release: str, outcome: f.RolloutOutcome, stable: str | None = None) -> f.RolloutEnded:
    return f.RolloutEnded(number, release, stable, outcome, 1.0)


def serving(release: str) -> EnvironmentReading:
    """All is as it should be."""
    instance = Instance("1", release, Endpoint("127.0.0.1", 40001), "ready", 0.0)
    return EnvironmentReading(
        traffic=TrafficReading(stable=release, endpoints={release: (instance.endpoint,)}), instances=(instance,)
    )


def see(
    state: EnvironmentState, *facts: f.Fact, reading: EnvironmentReading = NOTHING, now: float = 0.0, reason: str = ""
) -> Decision[EnvironmentState]:
    recorded = tuple(f.Recorded(PLACE.object_id, fact, reason) for fact in facts)
    return decide_environment(state, recorded, reading, now)


def said(decision: Decision[EnvironmentState], kind: type[f.Fact]) -> list[tuple[str | None, f.Fact]]:
    return [(emit.object, emit.fact) for emit in decision.emit if isinstance(emit.fact, kind)]


def does(decision: Decision[EnvironmentState]) -> list[type]:
    return [type(todo.action) for todo in decision.todo]


def live(release: str = OLD) -> EnvironmentState:
    """The state once the preview serves its first release."""
    state = see(EnvironmentState(PLACE), opened(2, release)).state
    return see(state, ended(1, release, "promoted"), reading=serving(release)).state


def test_it_runs_what_it_was_opened_with_and_asks_git_nothing() -> None:
    decision = see(EnvironmentState(PLACE), opened(2, OLD))
    ((place, fact),) = said(decision, f.RolloutRequested)
    assert place == "rollout/shop/preview-7/1"
    assert isinstance(fact, f.RolloutRequested)
    assert (fact.release, fact.stable, fact.specification) == (OLD, None, HEAD)
    assert does(decision) == []
    served = see(decision.state, ended(1, OLD, "promoted"), reading=serving(OLD))
    started = f.PreviewStarted("preview-7", 2, OLD, passed=True)
    assert said(served, f.PreviewStarted) == [(None, started), ("app/shop", started)]
    assert said(served, f.ReleaseOffered) == []
    assert see(served.state, reading=serving(OLD)).emit == ()


def test_a_newer_head_takes_its_place_even_on_its_way() -> None:
    first = see(EnvironmentState(PLACE), opened(2, OLD))
    second = see(first.state, opened(3, NEW))
    assert [place for place, _ in said(second, f.AbortRequested)] == ["rollout/shop/preview-7/1"]
    third = see(second.state, ended(1, OLD, "superseded"))
    assert RetireRelease in does(third)
    ((_, fact),) = said(third, f.RolloutRequested)
    assert isinstance(fact, f.RolloutRequested)
    assert (fact.number, fact.release) == (2, NEW)
    assert said(third, f.PreviewStarted) == []


def test_what_runs_already_is_not_rolled_out_again_and_said_for_the_newer_run() -> None:
    decision = see(live(), opened(3, OLD), reading=serving(OLD))
    assert said(decision, f.RolloutRequested) == []
    assert [fact for _, fact in said(decision, f.PreviewStarted)] == [f.PreviewStarted("preview-7", 3, OLD, True)] * 2


def test_what_could_not_be_started_is_said_once_and_not_tried_again() -> None:
    state = see(live(), opened(3, NEW), reading=serving(OLD)).state
    failed = see(state, ended(2, NEW, "failed", OLD), reading=serving(OLD), reason="it crashes")
    assert [emit.reason for emit in failed.emit if isinstance(emit.fact, f.PreviewStarted)] == ["it crashes"] * 2
    assert does(failed) == [RetireRelease]
    assert failed.state.live == OLD
    again = see(failed.state, reading=serving(OLD))
    assert (again.emit, again.todo) == ((), ())


def test_holds_and_rollbacks_and_gits_word_are_not_for_it() -> None:
    facts = (
        f.RollbackRequested(NEW, "ann"),
        f.PinRequested(NEW, "ann"),
        f.FreezeRequested(None, "ann"),
        f.ReleaseOffered(NEW, 9, HEAD),
    )
    git = DesiredReading("c" * 40, NEW, "ann", "By hand", HEAD)
    decision = see(live(), *facts, reading=replace(serving(OLD), desired=git))
    assert (decision.emit, decision.todo) == ((), ())
    assert decision.state == live()


def test_closing_removes_all_and_says_so_when_nothing_is_left() -> None:
    closing = see(live(), f.PreviewClosed("preview-7"), reading=serving(OLD))
    assert does(closing) == [RemoveEnvironment]
    assert not closing.idle
    waits = see(closing.state, reading=serving(OLD))
    assert (waits.todo, waits.emit) == ((), ())
    key = closing.todo[0].key
    gone = see(closing.state, f.ActionDone(key, "RemoveEnvironment"))
    assert said(gone, f.PreviewGone) == [
        (None, f.PreviewGone("preview-7", 2)),
        ("app/shop", f.PreviewGone("preview-7", 2)),
    ]
    assert (gone.state.live, gone.state.desired, gone.state.history) == (None, None, ())
    assert gone.state.next_rollout == 2
    assert gone.idle


def test_what_fails_on_the_way_out_is_tried_again() -> None:
    closing = see(live(), f.PreviewClosed("preview-7"), reading=serving(OLD))
    problem = Problem("gateway-down", "no answer")
    again = see(closing.state, f.ActionFailed(closing.todo[0].key, "RemoveEnvironment", problem), reading=DOWN)
    assert does(again) == [RemoveEnvironment]
    assert again.todo[0].key != closing.todo[0].key
    assert said(again, f.PreviewGone) == []


def test_a_gateway_that_says_nothing_is_not_nothing() -> None:
    closing = see(live(), f.PreviewClosed("preview-7"), reading=DOWN)
    done = see(closing.state, f.ActionDone(closing.todo[0].key, "RemoveEnvironment"), reading=DOWN)
    assert said(done, f.PreviewGone) == []


def test_a_rollout_on_its_way_is_stopped_first() -> None:
    state = see(EnvironmentState(PLACE), opened(2, OLD)).state
    closing = see(state, f.PreviewClosed("preview-7"))
    assert [place for place, _ in said(closing, f.AbortRequested)] == ["rollout/shop/preview-7/1"]
    assert said(closing, f.PreviewGone) == []
    over = see(closing.state, ended(1, OLD, "superseded"), reading=serving(OLD))
    assert RemoveEnvironment in does(over)
    assert said(over, f.PreviewStarted) == []


def test_nothing_is_repaired_of_what_is_closing_or_gone() -> None:
    without = EnvironmentReading(traffic=TrafficReading(stable=OLD))
    assert does(see(live(), reading=without)) == [StartInstances]
    closing = see(live(), f.PreviewClosed("preview-7"), reading=without)
    assert does(closing) == [RemoveEnvironment]
    gone = see(closing.state, f.ActionDone(closing.todo[0].key, "RemoveEnvironment"))
    assert ApplyRoute not in does(gone)
    quiet = see(gone.state, reading=DOWN, now=5.0)
    assert (quiet.emit, quiet.todo) == ((), ())


def test_what_is_gone_is_looked_at_less_and_less_often_and_removed_when_it_came_back() -> None:
    closing = see(live(), f.PreviewClosed("preview-7"), reading=serving(OLD), now=100.0)
    gone = see(closing.state, f.ActionDone(closing.todo[0].key, "RemoveEnvironment"), now=100.0).state
    assert see(gone, now=110.0).look_at == 112.0
    assert see(gone, now=200.0).look_at == 800.0
    back = see(gone, reading=serving(OLD), now=200.0)
    assert does(back) == [RemoveEnvironment]
    assert see(back.state, f.ActionDone(back.todo[0].key, "RemoveEnvironment"), now=201.0).emit == ()


def test_it_is_opened_again_after_it_was_gone() -> None:
    closing = see(live(), f.PreviewClosed("preview-7"), reading=serving(OLD))
    gone = see(closing.state, f.ActionDone(closing.todo[0].key, "RemoveEnvironment")).state
    again = see(gone, opened(5, OLD))
    ((place, _),) = said(again, f.RolloutRequested)
    assert place == "rollout/shop/preview-7/2"
