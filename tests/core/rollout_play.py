"""A rollout with a world that the test moves by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trimtab.core.decide.rollout import Peer, RolloutReading, RolloutState, decide_rollout
from trimtab.core.model import facts as f
from trimtab.core.model.actions import Action, ApplyRoute
from trimtab.core.model.decision import Decision
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.specification import (
    AnalysisSpec,
    EnvironmentSpec,
    GroupSpec,
    ServiceSpec,
    Specification,
)
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.core.model.traffic import ArmCounts, Endpoint, Instance, Share, TrafficReading

PLACE = EnvironmentId("shop", "production")
NEW, OLD = "sha256:" + "a" * 64, "sha256:" + "b" * 64
STEPS = (RolloutStep(10.0, 4.0, 30), RolloutStep(50.0, 6.0, 200, evidence=True))
ROLLOUT = "rollout/shop/production/1"


def specification(
    *steps: RolloutStep,
    strategy: StrategySpec | None = None,
    deadline_s: float = 600.0,
    analysis: AnalysisSpec | None = None,
    group: GroupSpec | None = None,
    replicas: int = 1,
) -> Specification:
    wanted = strategy or StrategySpec("canary", steps or STEPS, deadline_s)
    production = EnvironmentSpec(
        "production",
        8080,
        strategy=wanted,
        analysis=analysis or AnalysisSpec(latency=None, split_check=False),
        group=group,
    )
    return Specification("shop", ServiceSpec("serve", replicas=replicas), (production,))


def instances(arm: ArmId, number: int, phase: str = "ready") -> tuple[Instance, ...]:
    return tuple(Instance(str(index), arm, Endpoint("127.0.0.1", 9000 + index), phase) for index in range(number))


@dataclass
class Play:
    """Time, facts, the gateway and the instances move when the test says so."""

    stable: str | None = OLD
    specification: Specification = field(default_factory=specification)
    now: float = 1000.0
    state: RolloutState = field(default_factory=lambda: RolloutState(PLACE, 1))
    reading: RolloutReading = field(default_factory=RolloutReading)
    said: list[f.Fact] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    todo: dict[str, Action] = field(default_factory=dict)
    last: Decision[RolloutState] | None = None
    counts: dict[str, ArmCounts] = field(default_factory=lambda: {NEW: ArmCounts("e"), OLD: ArmCounts("e")})
    shares: list[Share] = field(default_factory=list)
    """Every share that was granted, oldest first."""
    _routed: set[str] = field(default_factory=set)

    def see(self, *facts: f.Fact, after_s: float = 0.0) -> Decision[RolloutState]:
        self.now += after_s
        recorded = tuple(f.Recorded(ROLLOUT, fact, reason="because", at=self.now) for fact in facts)
        reading = replace(self.reading, counts=dict(self.counts))
        self.last = decide_rollout(self.state, recorded, reading, self.now)
        self.state = self.last.state
        self.said += [emit.fact for emit in self.last.emit if emit.object is None]
        self.reasons += [emit.reason for emit in self.last.emit if emit.object is None]
        self.todo |= {todo.key: todo.action for todo in self.last.todo}
        if self.last.lease is not None:
            self.shares.append(self.last.lease.share)
        return self.last

    def begin(self) -> None:
        self.see(f.RolloutRequested(1, NEW, self.stable, self.specification, instant=False))

    def ready(self) -> None:
        wanted = {arm: instances(arm, number) for arm, number in self.state.wanted.items()}
        self.reading = replace(self.reading, instances=wanted)
        self.see(*(f.ActionDone(key, "StartInstances") for key in self.state.starts))

    def hold(
        self, candidate_pct: float, others_pct: Mapping[ArmId, float] | None = None, mirror_pct: float = 0.0
    ) -> None:
        """The gateway holds this share of the current step's route."""
        step = self.state.current
        self.reading = replace(
            self.reading,
            traffic=TrafficReading(
                OLD,
                NEW,
                self.state.lease_id,
                Share(candidate_pct, others_pct or {}, mirror_pct),
                segments=step.segments if step else (),
                mirror=step.mirror if step else None,
            ),
        )
        self.see()

    def serve(self, candidate: int, failed: int, stable: int, *, stable_failed: int = 0, after_s: float = 1.0) -> None:
        new, old = self.counts[NEW], self.counts[OLD]
        self.counts[NEW] = replace(new, requests=new.requests + candidate, errors=new.errors + failed)
        self.counts[OLD] = replace(old, requests=old.requests + stable, errors=old.errors + stable_failed)
        self.see(after_s=after_s)

    def at_first_step(self) -> None:
        self.begin()
        self.ready()
        self.take_route()
        self.obey()

    def at_last_step(self) -> None:
        self.at_first_step()
        for _ in range(5):
            self.serve(10, 0, 90)
        self.hold(50.0)

    def take_route(self) -> None:
        """The gateway takes the newest route."""
        newest = [key for key in self.todo if key.startswith("route") and key not in self._routed]
        self._routed.update(newest)
        self.see(*(f.ActionDone(key, "ApplyRoute") for key in newest))

    def obey(self) -> None:
        """The gateway holds what it was last granted."""
        assert self.last is not None
        if self.last.lease is not None:
            share = self.last.lease.share
            self.hold(share.candidate_pct, share.others_pct, share.mirror_pct)

    def turn(self, candidate: int = 10, failed: int = 0, stable: int = 90, *, after_s: float = 1.0) -> None:
        """One second in a world that does what it is told."""
        if self.state.phase == "starting":
            self.ready()
        if self.state.phase == "routing":
            self.take_route()
        self.obey()
        self.serve(candidate, failed, stable, after_s=after_s)

    @property
    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.said]

    @property
    def phase(self) -> str:
        return self.state.phase

    @property
    def weight(self) -> float | None:
        assert self.last is not None
        return None if self.last.lease is None else self.last.lease.share.candidate_pct

    @property
    def ending(self) -> f.RolloutEnded:
        ended = self.said[-1]
        assert isinstance(ended, f.RolloutEnded)
        return ended

    def route(self, key: str) -> ApplyRoute:
        action = self.todo[key]
        assert isinstance(action, ApplyRoute)
        return action

    def peers(self, *peers: Peer) -> None:
        self.reading = replace(self.reading, peers=peers)
