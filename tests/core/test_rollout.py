"""The rollout's decisions: every path from the first instance to the end, without a clock or a world."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from trimtab.core.decide.rollout import RolloutReading, RolloutState, decide_rollout
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import Action, ApplyRoute
from trimtab.core.model.decision import Decision
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.specification import (
    AnalysisSpec,
    EnvironmentSpec,
    ServiceSpec,
    Specification,
)
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.core.model.traffic import ArmCounts, Endpoint, Instance, TrafficReading

PLACE = EnvironmentId("shop", "production")
NEW, OLD = "sha256:" + "a" * 64, "sha256:" + "b" * 64
STEPS = (RolloutStep(10.0, 4.0, 30), RolloutStep(50.0, 6.0, 200))
LEASE = "rollout/shop/production/1"


def specification(*, steps: tuple[RolloutStep, ...] = STEPS, deadline_s: float = 600.0) -> Specification:
    strategy = StrategySpec("canary", steps, deadline_s)
    production = EnvironmentSpec("production", 8080, strategy=strategy, analysis=AnalysisSpec(latency=None))
    return Specification("shop", ServiceSpec("serve"), (production,))


@dataclass
class Play:
    """A rollout with a world that the test moves by hand."""

    stable: str | None = OLD
    specification: Specification = field(default_factory=specification)
    now: float = 1000.0
    state: RolloutState = field(default_factory=lambda: RolloutState(PLACE, 1))
    reading: RolloutReading = field(default_factory=RolloutReading)
    said: list[f.Fact] = field(default_factory=list)
    todo: dict[str, Action] = field(default_factory=dict)
    last: Decision[RolloutState] | None = None
    counts: dict[str, ArmCounts] = field(default_factory=lambda: {NEW: ArmCounts("e"), OLD: ArmCounts("e")})

    def see(self, *facts: f.Fact, after_s: float = 0.0) -> Decision[RolloutState]:
        self.now += after_s
        recorded = tuple(f.Recorded(LEASE, fact, reason="because", at=self.now) for fact in facts)
        reading = replace(self.reading, counts=dict(self.counts))
        self.last = decide_rollout(self.state, recorded, reading, self.now)
        self.state = self.last.state
        self.said += [emit.fact for emit in self.last.emit if emit.object is None]
        self.todo |= {todo.key: todo.action for todo in self.last.todo}
        return self.last

    def begin(self) -> None:
        self.see(f.RolloutRequested(1, NEW, self.stable, self.specification, instant=False))

    def ready(self) -> None:
        instance = Instance("1", NEW, Endpoint("127.0.0.1", 9000), "ready")
        self.reading = replace(self.reading, candidate=(instance,))
        self.see()

    def hold(self, weight_pct: float) -> None:
        traffic = TrafficReading(OLD, NEW, LEASE, weight_pct)
        self.reading = replace(self.reading, traffic=traffic)
        self.see()

    def serve(self, candidate: int, failed: int, stable: int, *, after_s: float = 1.0) -> None:
        new, old = self.counts[NEW], self.counts[OLD]
        self.counts[NEW] = replace(new, requests=new.requests + candidate, errors=new.errors + failed)
        self.counts[OLD] = replace(old, requests=old.requests + stable)
        self.see(after_s=after_s)

    def at_first_step(self) -> None:
        self.begin()
        self.ready()
        self.see(f.ActionDone("route", "ApplyRoute"))
        self.hold(10.0)

    def at_last_step(self) -> None:
        self.at_first_step()
        for _ in range(5):
            self.serve(10, 0, 90)
        self.hold(50.0)

    @property
    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.said]

    @property
    def weight(self) -> float | None:
        assert self.last is not None
        return None if self.last.lease is None else self.last.lease.weight_pct

    @property
    def ending(self) -> f.RolloutEnded:
        ended = self.said[-1]
        assert isinstance(ended, f.RolloutEnded)
        return ended


def test_the_first_release_gets_all_traffic_once_it_is_ready() -> None:
    play = Play(stable=None)
    play.begin()
    assert list(play.todo) == ["start"]
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
    for _ in range(12):
        play.serve(50, 0, 50)
    assert play.state.phase == "promoting"
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
    play.see(f.ActionDone("route", "ApplyRoute"))
    play.serve(50, 50, 50)
    assert play.state.phase == "shifting"
    assert "EvidenceCounted" not in play.kinds
    play.hold(10.0)
    play.serve(2, 0, 30)
    assert play.state.evidence.metrics["errors"].whole.bad_candidate == 0


def test_a_lost_weight_stops_the_counting_until_it_is_back() -> None:
    play = Play()
    play.at_first_step()
    play.reading = replace(play.reading, traffic=TrafficReading(OLD, NEW, LEASE, 0.0))
    play.serve(50, 50, 50)
    assert play.kinds[-1] == "WeightLost"
    assert play.state.phase == "shifting"
    assert play.weight == 10.0


def test_a_bad_candidate_loses_its_share_with_the_verdict() -> None:
    play = Play()
    play.at_first_step()
    play.serve(5, 5, 45)
    assert play.state.phase == "returning"
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
    assert play.state.phase == "returning"


def test_a_meter_that_began_anew_gives_no_evidence() -> None:
    play = Play()
    play.at_first_step()
    play.serve(10, 0, 90)
    play.counts = {NEW: ArmCounts("other", 500, 500), OLD: ArmCounts("other", 500, 0)}
    play.see(after_s=1.0)
    assert play.state.phase == "observing"
    play.serve(10, 0, 90)
    assert play.state.evidence.metrics["errors"].whole.bad_candidate == 0


def test_a_candidate_that_never_becomes_ready_moves_no_traffic() -> None:
    play = Play()
    play.begin()
    problem = Problem("health", "the health check got HTTP 500")
    sick = Instance("1", NEW, Endpoint("127.0.0.1", 9000), "failed", problem=problem)
    play.reading = replace(play.reading, candidate=(sick,))
    decision = play.see()
    assert play.ending.outcome == "failed"
    assert "HTTP 500" in decision.emit[-1].reason
    assert not any(isinstance(action, ApplyRoute) for action in play.todo.values())


def test_a_person_can_promote_without_waiting() -> None:
    play = Play()
    play.at_first_step()
    play.see(f.PromoteRequested("someone"))
    assert play.state.phase == "promoting"


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
