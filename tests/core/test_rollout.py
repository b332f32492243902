"""The rollout's decisions: every path from the first instance to the end, without a clock or a world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.rollout_play import NEW, OLD, Play, instances, specification
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import ApplyRoute
from trimtab.core.model.traffic import ArmCounts


def test_the_first_release_gets_all_traffic_once_it_is_ready() -> None:
    play = Play(stable=None)
    play.begin()
    assert list(play.todo) == ["start-0"]
    play.ready()
    assert play.weight is None
    promote = play.todo["promote"]
    assert isinstance(promote, ApplyRoute)
    assert (promote.stable, promote.candidate, promote.lease) == (NEW, None, None)
    play.see(f.ActionDone("promote", "ApplyRoute"))
    assert play.ending.outcome == "promoted"


def test_a_good_candidate_goes_through_every_step_to_the_end() -> None:
    play = Play()
    play.at_last_step()
    for _ in range(14):
        play.serve(50, 0, 50)
    assert play.phase == "promoting"
    play.see(f.ActionDone("promote", "ApplyRoute"))
    assert play.ending.outcome == "promoted"
    assert [kind for kind in play.kinds if kind != "EvidenceCounted"] == [
        "RolloutStarted",
        "InstancesReady",
        "StepEntered",
        "WeightVerified",
        "StepEntered",
        "WeightVerified",
        "VerdictReached",
        "RolloutEnded",
    ]


def test_evidence_counts_only_while_the_data_plane_holds_the_weight() -> None:
    play = Play()
    play.begin()
    play.ready()
    play.take_route()
    play.serve(50, 50, 50)
    assert play.phase == "shifting"
    assert "EvidenceCounted" not in play.kinds
    play.hold(10.0)
    play.serve(2, 0, 30)
    assert play.state.evidence.counted["errors"].whole.bad_candidate == 0


def test_a_lost_weight_stops_the_counting_until_it_is_back() -> None:
    play = Play()
    play.at_first_step()
    play.hold(0.0)
    play.serve(50, 0, 50)
    assert "WeightLost" in play.kinds
    assert play.phase == "shifting"
    assert play.state.evidence.step_requests == 0
    assert play.weight == 10.0


def test_a_bad_candidate_loses_its_share_with_the_verdict() -> None:
    play = Play()
    play.at_first_step()
    play.serve(5, 5, 45)
    assert play.phase == "returning"
    assert play.weight == 0.0
    back = play.todo["return-1"]
    assert isinstance(back, ApplyRoute)
    assert (back.stable, back.candidate) == (OLD, None)
    play.see(f.ActionDone("return-1", "ApplyRoute"))
    assert play.ending.outcome == "rolled_back"
    assert "TrafficReturned" in play.kinds


def test_going_back_is_tried_until_the_gateway_takes_it() -> None:
    play = Play()
    play.at_first_step()
    play.see(f.AbortRequested("someone"))
    failed = f.ActionFailed("return-1", "ApplyRoute", Problem("gateway-down", "no answer"))
    play.see(failed, after_s=3.0)
    assert "return-2" in play.todo
    assert play.weight == 0.0
    play.see(f.ActionDone("return-2", "ApplyRoute"))
    assert play.ending.outcome == "aborted"


def test_no_data_never_promotes_and_the_deadline_ends_it() -> None:
    play = Play(specification=specification(deadline_s=60.0))
    play.at_first_step()
    for _ in range(50):
        play.see(after_s=1.0)
    assert play.weight == 10.0
    play.see(after_s=15.0)
    assert play.weight == 0.0
    assert play.state.ending is not None
    assert "not promoted within 1 min: no request reached the candidate" in play.state.ending.reason


def test_a_paused_rollout_holds_its_share_and_still_goes_back() -> None:
    play = Play()
    play.at_first_step()
    play.see(f.PauseRequested("someone"))
    for _ in range(20):
        play.serve(10, 0, 90)
    assert (play.state.step, play.weight) == (0, 10.0)
    play.serve(10, 10, 90)
    assert play.phase == "returning"


def test_a_meter_that_began_anew_gives_no_evidence() -> None:
    play = Play()
    play.at_first_step()
    play.serve(10, 0, 90)
    play.counts = {NEW: ArmCounts("other", 500, 500), OLD: ArmCounts("other", 500, 0)}
    play.see(after_s=1.0)
    assert play.phase == "observing"
    play.serve(10, 0, 90)
    assert play.state.evidence.counted["errors"].whole.bad_candidate == 0


def test_a_candidate_that_never_becomes_ready_moves_no_traffic() -> None:
    play = Play()
    play.begin()
    problem = Problem("health", "the health check got HTTP 500")
    sick = replace(instances(NEW, 1, "failed")[0], problem=problem)
    play.reading = replace(play.reading, instances={NEW: (sick,)})
    decision = play.see()
    assert play.ending.outcome == "failed"
    assert "HTTP 500" in decision.emit[-1].reason
    assert not any(isinstance(action, ApplyRoute) for action in play.todo.values())


def test_a_person_can_promote_without_waiting() -> None:
    play = Play()
    play.at_first_step()
    play.see(f.PromoteRequested("someone"))
    assert play.phase == "promoting"


@pytest.mark.parametrize("moment", ["begin", "at_first_step", "at_last_step"])
def test_an_abort_at_any_moment_ends_with_all_traffic_on_stable(moment: str) -> None:
    play = Play()
    getattr(play, moment)()
    play.see(f.AbortRequested("someone"))
    assert play.weight in (None, 0.0)
    if moment != "begin":
        assert isinstance(play.todo["return-1"], ApplyRoute)
        play.see(f.ActionDone("return-1", "ApplyRoute"))
    assert play.ending.outcome == "aborted"
