"""What the steps of a rollout can ask for: gates, people, mirrors, ramps, experiments, groups, other numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.core.rollout_play import NEW, OLD, Play, specification
from trimtab.core.decide.rollout import Peer
from trimtab.core.decide.run import StepReading
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import RunGate, ScaleDown, StartInstances, StopGate
from trimtab.core.model.identity import BASELINE, arm
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.core.model.specification import AnalysisSpec, GroupSpec, MetricSpec, SourceSpec
from trimtab.core.model.strategy import (
    ExperimentSpec,
    GateSpec,
    Match,
    MirrorSpec,
    RolloutStep,
    StrategySpec,
    VariantSpec,
)
from trimtab.core.model.traffic import ArmCounts, PairCounts

QUICK: dict[str, Any] = {"hold_s": 2.0, "requests": 10}
SMOKE = GateSpec("smoke", run="python smoke.py")
BETA = ((Match("header", "x-beta", "exact", "1"),),)
VARIANTS = (VariantSpec("short", {"PROMPT": "short"}),)

STRATEGIES = {
    "canary": (RolloutStep(10.0, **QUICK), RolloutStep(50.0, **QUICK, evidence=True)),
    "blue-green": (RolloutStep(0.0, 1.0, 0, gate=SMOKE, mirror=MirrorSpec(), name="warm-up"),),
    "rolling": (
        RolloutStep(50.0, **QUICK, candidate_replicas=1, stable_replicas=1),
        RolloutStep(67.0, **QUICK, candidate_replicas=2, stable_replicas=1),
    ),
    "shadow": (RolloutStep(0.0, 2.0, 10, mirror=MirrorSpec(compare="exact")),),
    "ab": (RolloutStep(50.0, **QUICK, segments=BETA), RolloutStep(50.0, **QUICK)),
    "gated": (RolloutStep(10.0, **QUICK, gate=SMOKE), RolloutStep(50.0, **QUICK, approve=True)),
    "ramped": (RolloutStep(20.0, **QUICK, ramp_s=5.0),),
    "experiment": (
        RolloutStep(**QUICK, experiment=ExperimentSpec(10.0, VARIANTS)),
        RolloutStep(50.0, **QUICK),
    ),
    "bake": (RolloutStep(50.0, **QUICK), RolloutStep(95.0, 5.0, 0, name="bake")),
}


def play_of(name: str, **changes: object) -> Play:
    strategy = replace(StrategySpec("canary", STRATEGIES[name]), **changes)  # type: ignore[arg-type]
    return Play(specification=specification(strategy=strategy, replicas=2))


def go_on(play: Play, until: int | str, limit: int = 200) -> None:
    """Turn the world until the rollout observes the step `until`, or is in the phase `until`."""
    for _ in range(limit):
        if play.phase == until or (play.phase == "observing" and play.state.step == until):
            return
        if play.phase == "observing" and play.state.gate is not None and not play.state.gate.passed:
            play.reading = replace(play.reading, gate=StepReading("passed", 0, 1.0, ""))
        if play.state.current is not None and play.state.current.approve and play.state.step != until:
            play.see(f.ApproveRequested("someone"))
        play.turn(50, 0, 50)
    raise AssertionError(f"still {play.phase} in step {play.state.step}: {play.reasons[-5:]}")


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_comes_to_its_end(name: str) -> None:
    play = play_of(name)
    play.begin()
    go_on(play, "promoting")
    assert play.route("promote").stable == NEW
    play.see(f.ActionDone("promote", "ApplyRoute"))
    assert play.ending.outcome == "promoted"


EVERY_STEP = [(name, step) for name, steps in STRATEGIES.items() for step in range(len(steps))]


@pytest.mark.parametrize(("name", "step"), EVERY_STEP)
def test_an_abort_at_every_step_of_every_strategy_returns_all_traffic(name: str, step: int) -> None:
    play = play_of(name)
    play.begin()
    go_on(play, step)
    play.see(f.AbortRequested("someone"))
    assert play.shares[-1].total_pct == play.shares[-1].mirror_pct == 0
    back = play.route("return-1")
    assert (back.stable, back.candidate, back.mirror, back.others) == (OLD, None, None, ())
    play.see(f.ActionDone("return-1", "ApplyRoute"))
    assert play.ending.outcome == "aborted"


@pytest.mark.parametrize(("name", "step"), EVERY_STEP)
def test_a_bad_candidate_goes_back_from_every_step_of_every_strategy(name: str, step: int) -> None:
    play = play_of(name)
    play.begin()
    go_on(play, step)
    if play.specification.environments[0].strategy.steps[step].experiment is not None:
        baseline = arm(OLD, BASELINE)
        play.counts[baseline] = ArmCounts("e")
        for total in (100, 200):
            play.counts[baseline] = ArmCounts("e", requests=total)
            play.turn(50, 50, 50)
    else:
        part = round(play.shares[-1].candidate_pct) or 50
        for _ in range(5):
            play.turn(part, part, 100 - part)
    assert play.phase == "returning"
    assert play.state.ending is not None
    assert play.state.ending.outcome == "rolled_back"


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_share_never_exceeds_the_step(name: str) -> None:
    play = play_of(name)
    play.begin()
    for _ in range(60):
        before = play.state
        play.turn(50, 0, 50)
        if play.state.gate is not None and not play.state.gate.passed:
            play.reading = replace(play.reading, gate=StepReading("passed", 0, 1.0, ""))
        play.see(f.ApproveRequested("someone"))
        highest = max((step.weight_pct for step in before.steps[: play.state.step + 1]), default=0.0)
        if play.phase in ("shifting", "observing", "starting", "routing"):
            assert play.shares == [] or play.shares[-1].candidate_pct <= max(highest, 10.0)


def test_a_gate_that_waits_still_rolls_back_when_the_candidate_goes_bad() -> None:
    play = play_of("gated")
    play.begin()
    go_on(play, 0)
    play.turn(50, 0, 50)
    asked = play.todo["gate-0"]
    assert isinstance(asked, RunGate)
    assert (asked.gate, asked.process) == (SMOKE, "gate/shop/production/1/1")
    for _ in range(100):
        play.turn(10, 0, 90)
    assert (play.phase, play.state.step) == ("observing", 0)
    play.turn(20, 20, 90)
    assert play.phase == "returning"
    assert play.todo["drop-gate-0"] == StopGate(asked.process)


def test_a_gate_is_asked_no_longer_once_a_person_has_promoted() -> None:
    play = play_of("gated")
    play.begin()
    go_on(play, 0)
    play.turn(50, 0, 50)
    play.see(f.PromoteRequested("someone"), after_s=1.0)
    assert play.todo["drop-gate-0"] == StopGate("gate/shop/production/1/1")


def test_a_gate_that_has_answered_is_not_stopped() -> None:
    play = play_of("gated")
    play.begin()
    go_on(play, "promoting")
    assert not [key for key in play.todo if key.startswith("drop")]


def test_a_gate_that_fails_rolls_back_with_its_words() -> None:
    play = play_of("gated")
    play.begin()
    go_on(play, 0)
    play.turn(50, 0, 50)
    play.reading = replace(play.reading, gate=StepReading("failed", 1, 3.0, "exit code 1: 3 of 10 answers wrong"))
    play.turn(50, 0, 50)
    assert play.state.ending is not None
    assert play.state.ending.reason == "gate smoke failed: exit code 1: 3 of 10 answers wrong"
    assert "GateEnded" in play.kinds


def test_a_step_waits_for_a_person() -> None:
    play = play_of("gated")
    play.begin()
    go_on(play, 1)
    for _ in range(30):
        play.turn(50, 0, 50)
    assert (play.phase, play.state.step) == ("observing", 1)
    assert play.kinds.count("ApprovalAwaited") == 1
    play.see(f.ApproveRequested("someone"), after_s=1.0)
    assert play.state.step == 2


def test_approval_before_the_step_is_none() -> None:
    play = play_of("gated")
    play.begin()
    play.see(f.ApproveRequested("someone too early"))
    go_on(play, 0)
    play.reading = replace(play.reading, gate=StepReading("passed", 0, 1.0, ""))
    for _ in range(30):
        play.turn(50, 0, 50)
    assert (play.phase, play.state.step) == ("observing", 1)


def test_a_ramp_grows_evenly_and_evidence_of_harm_counts_on_the_way() -> None:
    play = play_of("ramped")
    play.begin()
    play.ready()
    play.take_route()
    seen = []
    for _ in range(5):
        play.turn(1, 0, 50)
        seen.append(play.weight)
    assert seen == [4.0, 8.0, 12.0, 16.0, 20.0]
    assert play.phase == "shifting"
    early = play_of("ramped")
    early.begin()
    early.ready()
    early.take_route()
    for _ in range(3):
        early.turn(20, 20, 90)
    assert early.state.phase == "returning"


def test_the_last_move_ramps_too() -> None:
    play = play_of("canary", ramp_s=10.0)
    play.begin()
    go_on(play, "ramping")
    assert play.weight == 50.0
    play.turn(50, 0, 50, after_s=5.0)
    assert play.weight == 75.0
    play.turn(75, 0, 25, after_s=5.0)
    assert (play.weight, play.phase) == (100.0, "promoting")


def test_a_mirror_is_told_to_the_gateway_and_nobody_gets_its_answers() -> None:
    play = play_of("shadow")
    play.begin()
    go_on(play, 0)
    assert play.route("route-0").mirror == MirrorSpec(compare="exact")
    assert (play.shares[-1].candidate_pct, play.shares[-1].mirror_pct) == (0.0, 100.0)


def test_answers_that_differ_go_back_with_an_example() -> None:
    play = play_of("shadow")
    play.begin()
    go_on(play, 0)
    for total in range(20, 400, 20):
        example = "POST /chat: 200 and 500"
        play.reading = replace(play.reading, pairs=PairCounts("", total, total // 2, examples=(example,)))
        play.turn(20, 0, 20)
    assert play.phase == "returning"
    assert play.state.ending is not None
    assert "for example POST /chat: 200 and 500" in play.state.ending.reason


def test_rolling_moves_instances_with_the_share() -> None:
    play = play_of("rolling")
    play.begin()
    first = play.todo["start-0"]
    assert isinstance(first, StartInstances)
    assert first.replicas == 1
    go_on(play, 1)
    assert (play.route("route-0").stable_replicas, play.route("route-1").stable_replicas) == (1, 1)
    second = play.todo["start-1"]
    assert isinstance(second, StartInstances)
    assert second.replicas == 2
    scaled = [action for action in play.todo.values() if isinstance(action, ScaleDown)]
    assert {(action.arm, action.keep) for action in scaled} == {(OLD, 1)}


def test_others_never_get_a_share_that_was_meant_for_a_segment() -> None:
    play = play_of("ab")
    play.begin()
    go_on(play, 0)
    inside = play.state.lease_id
    go_on(play, "routing")
    assert play.state.lease_id != inside
    assert play.weight == 0.0
    assert play.route("route-1").lease == play.state.lease_id
    assert play.route("route-1").segments == ()


def test_an_experiment_compares_every_arm_with_a_baseline_of_the_same_age() -> None:
    play = play_of("experiment")
    play.begin()
    short, baseline = arm(NEW, "short"), arm(OLD, BASELINE)
    started = {key: action for key, action in play.todo.items() if isinstance(action, StartInstances)}
    assert started.keys() == {"start-0", "start-0-short", "start-0-baseline"}
    assert started["start-0-short"].env == {"PROMPT": "short"}
    go_on(play, 0)
    assert play.route("route-0").others == (short, baseline)
    assert play.shares[-1].others_pct == {short: 10.0, baseline: 10.0}
    for total in range(100, 2000, 100):
        play.counts[baseline] = ArmCounts("e", requests=total)
        play.counts[short] = ArmCounts("e", requests=total, errors=total // 2)
        play.turn(100, 0, 700)
        if play.state.step == 1:
            break
    judged = next(fact for fact in play.said if isinstance(fact, f.ExperimentJudged))
    assert judged.verdicts["short"] == "FAIL"
    assert judged.worse == ("short",)
    assert play.state.step == 1


def metric(name: str = "refusals") -> MetricSpec:
    source = SourceSpec("json", "http://127.0.0.1:1/", {"bad": "bad", "all": "all"}, fresh_s=60.0)
    return MetricSpec(name, "events", source, acceptable_pct=5.0)


def measured(play: Play, number: float, bad: float = 0.0) -> None:
    arms = {NEW: ArmMeasure(bad, number), OLD: ArmMeasure(0.0, number)}
    play.reading = replace(play.reading, measurements={"refusals": Measurement(arms, play.now)})


def test_numbers_that_are_too_old_hold_the_rollout_and_neither_fail_nor_promote_it() -> None:
    analysis = AnalysisSpec(latency=None, split_check=False, metrics=(metric(),))
    steps = (RolloutStep(50.0, 1.0, 10, evidence=True),)
    play = Play(specification=specification(*steps, analysis=analysis, deadline_s=3600.0))
    play.begin()
    go_on(play, 0)
    measured(play, 0)
    play.turn(50, 0, 50)
    for _ in range(300):
        play.turn(50, 0, 50)
    assert play.phase == "observing"
    assert "VerdictReached" not in play.kinds
    held = [reason for fact, reason in zip(play.said, play.reasons, strict=True) if isinstance(fact, f.RolloutHeld)]
    assert held[0].startswith("refusals: it was never read")
    assert held[1].startswith("refusals: its newest number is")
    assert len(held) == 2
    for number in range(100, 4000, 100):
        measured(play, number)
        play.turn(50, 0, 50)
        if play.phase != "observing":
            break
    assert "RolloutReleased" in play.kinds
    assert play.phase in ("starting", "promoting")


def test_a_metric_of_ones_own_rolls_back() -> None:
    analysis = AnalysisSpec(latency=None, split_check=False, metrics=(metric(),))
    play = Play(specification=specification(RolloutStep(50.0, 1.0, 10, evidence=True), analysis=analysis))
    play.begin()
    go_on(play, 0)
    for number in range(0, 2000, 100):
        measured(play, number, bad=number / 2)
        play.turn(50, 0, 50)
    assert play.phase == "returning"
    verdict = next(fact for fact in play.said if isinstance(fact, f.VerdictReached))
    assert (verdict.verdict, verdict.offender) == ("FAIL", "refusals")


@pytest.mark.parametrize(("bad", "ends"), [(0.0, 1), (0.5, "returning")])
def test_in_an_experiment_numbers_from_elsewhere_are_compared_with_the_stable_release(
    bad: float, ends: int | str
) -> None:
    analysis = AnalysisSpec(latency=None, split_check=False, metrics=(metric(),))
    steps = (replace(STRATEGIES["experiment"][0], evidence=True), RolloutStep(50.0, 1.0, 0))
    play = Play(specification=specification(*steps, analysis=analysis))
    play.begin()
    go_on(play, 0)
    for total in range(100, 4000, 100):
        play.counts[arm(OLD, BASELINE)] = ArmCounts("e", requests=total)
        measured(play, total, bad=total * bad)
        play.turn(100, 0, 700)
        if play.state.step == 1 or play.phase == "returning":
            break
    assert ends in (play.state.step, play.phase)


def test_shares_that_are_not_as_they_should_be_hold_the_rollout() -> None:
    analysis = AnalysisSpec(latency=None)
    play = Play(specification=specification(RolloutStep(50.0, 1.0, 1200, evidence=True), analysis=analysis))
    play.begin()
    go_on(play, 0)
    begin = int(play.now // 10)
    for turn in range(200):
        slots = range(begin, begin + turn // 10 + 1)
        play.counts[NEW] = replace(play.counts[NEW], arrivals=dict.fromkeys(slots, 100))
        play.counts[OLD] = replace(play.counts[OLD], arrivals=dict.fromkeys(slots, 400))
        play.turn(10, 0, 40)
    assert play.phase == "observing"
    assert "RolloutHeld" in play.kinds
    assert "VerdictReached" not in play.kinds
    held = play.reasons[play.kinds.index("RolloutHeld")]
    assert held.startswith("the split is broken: the candidate got 20 % of")


def test_no_progress_goes_back() -> None:
    play = play_of("canary", progress_deadline_s=30.0)
    play.begin()
    play.see(after_s=29.0)
    assert play.phase == "starting"
    play.see(after_s=2.0)
    assert play.ending.outcome == "rolled_back"
    assert "no progress for 30 s, waiting for instances" in play.reasons[-1]


# --- groups ---------------------------------------------------------------------------------------------------------

GROUP = GroupSpec("checkout", ("shop/production", "pay/production"), gather_s=20.0)


def in_group() -> Play:
    steps = (RolloutStep(10.0, **QUICK), RolloutStep(50.0, **QUICK))
    return Play(specification=specification(*steps, group=GROUP))


def test_a_group_moves_step_by_step_together() -> None:
    play = in_group()
    play.begin()
    play.peers(Peer("pay/production", under_way=True, ready_for=0))
    play.ready()
    assert play.phase == "gathering"
    play.peers(Peer("pay/production", under_way=True, ready_for=1))
    go_on(play, 0)
    for _ in range(20):
        play.turn(50, 0, 50)
    assert (play.state.step, play.state.ready_for) == (0, 2)
    assert "pay/production of the group checkout is not as far yet" in play.reasons
    play.peers(Peer("pay/production", under_way=True, ready_for=2))
    go_on(play, 1)


def test_a_member_without_a_rollout_is_waited_for_and_then_left_out() -> None:
    play = in_group()
    play.begin()
    play.peers(Peer("pay/production", under_way=False))
    play.ready()
    play.see(after_s=10.0)
    assert play.phase == "gathering"
    play.see(after_s=11.0)
    assert play.phase == "routing"


@pytest.mark.parametrize("outcome", ["returning", "rolled_back", "aborted", "failed"])
def test_a_group_returns_together(outcome: str) -> None:
    play = in_group()
    play.begin()
    play.peers(Peer("pay/production", under_way=True, ready_for=9))
    go_on(play, 1)
    gone = Peer("pay/production", False, 9, outcome, play.now, "it fails more often")  # type: ignore[arg-type]
    play.peers(gone)
    play.turn(50, 0, 50)
    assert play.phase == "returning"
    assert play.state.ending is not None
    assert play.state.ending.reason == "pay/production of its group went back: it fails more often"


def test_what_a_member_did_before_this_move_is_past() -> None:
    play = in_group()
    play.begin()
    play.peers(Peer("pay/production", False, 3, "rolled_back", play.now - 60.0, "long ago"))
    play.ready()
    play.see(after_s=21.0)
    assert play.phase == "routing"


def test_an_instance_that_fails_in_the_middle_goes_back() -> None:
    play = play_of("rolling")
    play.begin()
    go_on(play, 0)
    for _ in range(20):
        if play.phase == "starting":
            break
        play.turn(50, 0, 50)
    (first, *_), problem = play.reading.instances[NEW], Problem("health", "the health check got HTTP 500")
    play.reading = replace(play.reading, instances={NEW: (replace(first, phase="failed", problem=problem),)})
    play.see(after_s=0.1)
    assert play.phase == "returning"


def test_requests_are_counted_when_nothing_is_judged() -> None:
    analysis = AnalysisSpec(errors=None, latency=None, split_check=False)
    play = Play(specification=specification(RolloutStep(50.0, 1.0, 200), analysis=analysis))
    play.begin()
    go_on(play, 0)
    play.turn(50, 0, 50)
    assert play.phase == "observing"
    go_on(play, "promoting", limit=6)
