"""Defects of the environment's decisions that the simulator found, each as its smallest case."""

from __future__ import annotations

from dataclasses import replace

from tests.core.rollout_play import NEW, instances
from tests.core.rollout_play import Play as RolloutPlay
from tests.core.test_environment import PLACE, A, B, C, Play
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import CommitDesired, RetireRelease
from trimtab.core.model.identity import short
from trimtab.core.model.traffic import Endpoint, Instance, TrafficReading

BROKEN = Problem("no-answer", "the runtime does not answer")


def instance(release: str, port: int) -> Instance:
    return Instance(release, release, Endpoint("127.0.0.1", port), "ready")


def retirements(play: Play) -> list[tuple[str, RetireRelease]]:
    return [(key, action) for key, action in play.todo if isinstance(action, RetireRelease)]


def deployed() -> Play:
    """C is live; A and B were, and are on their way out."""
    play = Play()
    for run, release in enumerate((A, B, C), start=1):
        play.deploy(release, run)
    assert play.state.retiring == (A, B)
    return play


def test_a_retirement_that_fails_leaves_the_others_as_they_are() -> None:
    play = deployed()
    key = next(key for key, action in retirements(play) if action.release == A)
    play.see(f.ActionFailed(key, "RetireRelease", BROKEN))
    assert play.state.retiring == (B,)


def test_a_retirement_of_an_older_version_that_fails_is_not_waited_for_for_ever() -> None:
    play = deployed()
    play.state = replace(play.state, retirements={})  # that version did not keep their keys
    play.see(f.ActionFailed("retire-3", "RetireRelease", BROKEN))
    assert play.state.retiring == ()


def test_a_retirement_of_before_does_not_stand_for_the_one_of_now() -> None:
    """A was on its way out, came back, and is on its way out again: the first one's delay is over long before."""
    play = deployed()
    [first] = [key for key, action in retirements(play) if action.release == A]
    play.deploy(A, 4)
    assert not play.state.retires(A, first)
    play.deploy(B, 5)
    [_, second] = [key for key, action in retirements(play) if action.release == A]
    assert (play.state.retires(A, first), play.state.retires(A, second)) == (False, True)
    play.see(f.ActionFailed(first, "RetireRelease", BROKEN))
    assert play.state.retires(A, second), "nor does its failure"


def test_what_was_live_and_could_not_be_retired_keeps_its_delay() -> None:
    play = deployed()
    key = next(key for key, action in retirements(play) if action.release == A)
    there = (instance(A, 1), instance(C, 3))
    endpoints = {C: (Endpoint("127.0.0.1", 3),)}
    play.reading = replace(play.reading, instances=there, traffic=TrafficReading(stable=C, endpoints=endpoints))
    play.see(f.ActionFailed(key, "RetireRelease", BROKEN))
    play.see()
    again, action = retirements(play)[-1]
    assert again.startswith(f"retire-{short(A)}-")
    assert again != key
    assert action.delay_s == 30.0


def test_a_newer_change_that_brings_back_what_is_live_is_written_to_git() -> None:
    """Its policy has stopped the rollout of what Git says: Git must not go on saying it."""
    play = Play("cancel")
    play.deploy(A)
    play.offer(B, run=2)
    play.commit()
    play.offer(A, run=3)
    assert any(isinstance(fact, f.AbortRequested) for fact, _, _ in play.said)
    play.end("superseded")
    kept = play.commit()
    assert kept.release == A
    assert kept.subject == f"Keep {short(A)} in {PLACE}"
    assert play.state.rollout is None


def test_a_write_that_is_tried_again_names_the_same_commit() -> None:
    """Its answer may have been lost, and then the commit is there already."""
    play = Play()
    play.offer(A)
    (key,) = [key for key, action in play.todo if isinstance(action, CommitDesired)]
    play.see(f.ActionFailed(key, "CommitDesired", BROKEN))
    play.now += 10.0
    play.see()
    first, second = [action for action in play.actions(CommitDesired) if isinstance(action, CommitDesired)]
    assert first.key == second.key == f"{PLACE.object_id}#{key}"


def test_a_rollout_waits_for_its_own_start_and_not_for_instances_that_are_being_stopped() -> None:
    """The release was given up a moment ago and is offered again: its old instances are seen until they have ended."""
    play = RolloutPlay()
    play.begin()
    play.reading = replace(play.reading, instances={NEW: instances(NEW, 1)})
    play.see()
    assert play.phase == "starting"
    play.see(f.ActionDone("start-0", "StartInstances"))
    assert play.phase == "routing"
