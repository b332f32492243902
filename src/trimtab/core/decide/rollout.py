"""The rollout: instances up, traffic over step by step, a verdict, and either all of it or none of it.

    starting -> routing -> (shifting -> observing)* -> promoting -> ended
                     any of them -> returning -> ended

Safety, in words: the candidate never gets more than the current step's share; evidence counts for a step only while
the data plane was read back to hold exactly that share; nothing is promoted without data; while the rollout waits,
pauses or promotes it can still go back; and if whoever decides dies, the share runs out by itself (the lease).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from trimtab.core.model.actions import Action, ApplyRoute, StartInstances
from trimtab.core.model.decision import Decision, Emit, Lease, Todo
from trimtab.core.model.facts import (
    AbortRequested,
    ActionDone,
    ActionFailed,
    EvidenceCounted,
    Fact,
    InstancesReady,
    PauseRequested,
    PromoteRequested,
    Recorded,
    ResumeRequested,
    RolloutEnded,
    RolloutOutcome,
    RolloutRequested,
    RolloutStarted,
    StepEntered,
    TrafficReturned,
    VerdictReached,
    WeightLost,
    WeightVerified,
)
from trimtab.core.model.identity import Digest, EnvironmentId, ObjectId, rollout_object, short
from trimtab.core.model.specification import EnvironmentSpec, Specification
from trimtab.core.model.strategy import RolloutStep
from trimtab.core.model.traffic import ArmCounts, Instance, TrafficReading
from trimtab.core.say import count, duration
from trimtab.core.stats import canary
from trimtab.core.stats.histogram import Histogram

TICK_S = 0.5
"""How often evidence is read while a step is observed."""
IMPATIENT_S = 0.1
"""How often the world is looked at while instances start or a weight is on its way."""
RETRY_S = 2.0

Phase = Literal["starting", "routing", "shifting", "observing", "promoting", "returning", "ended"]


@dataclass(frozen=True, slots=True)
class Ending:
    """What the rollout is going to be, once traffic is back on stable."""

    outcome: RolloutOutcome
    reason: str


@dataclass(frozen=True, slots=True)
class RolloutState:
    environment: EnvironmentId
    number: int
    release: Digest = ""
    stable: Digest | None = None
    specification: Specification | None = None
    instant: bool = False
    phase: Phase = "starting"
    started_at: float = 0.0
    step: int = 0
    verified_at: float = 0.0
    """When the data plane was first seen to hold the current step's share."""
    paused: bool = False
    attempts: int = 0
    """How often going back was tried; makes each try's key its own."""
    retry_at: float = 0.0
    ending: Ending | None = None
    evidence: canary.Evidence = field(default_factory=canary.Evidence)
    cursor: Mapping[Digest, ArmCounts] = field(default_factory=dict)
    """The counts up to which evidence was taken."""


@dataclass(frozen=True, slots=True)
class RolloutReading:
    """The world as the rollout sees it now."""

    traffic: TrafficReading = field(default_factory=TrafficReading)
    candidate: tuple[Instance, ...] = ()
    counts: Mapping[Digest, ArmCounts] = field(default_factory=dict)


def decide_rollout(
    state: RolloutState, facts: tuple[Recorded, ...], reading: RolloutReading, now: float
) -> Decision[RolloutState]:
    """The next move of a rollout, with its reason."""
    work = _Work(state, reading, now)
    for recorded in facts:
        work.see(recorded)
    work.advance()
    return work.decision()


class _Work:
    """One decision in the making. Local to the call: nothing outlives it."""

    def __init__(self, state: RolloutState, reading: RolloutReading, now: float) -> None:
        self.state, self.reading, self.now = state, reading, now
        self.todo: list[Todo] = []
        self.emit: list[Emit] = []

    # --- what the decision is made of ---

    @property
    def place(self) -> EnvironmentSpec:
        assert self.state.specification is not None
        place = self.state.specification.environment(self.state.environment.name)
        assert place is not None
        return place

    @property
    def steps(self) -> tuple[RolloutStep, ...]:
        instant = self.state.instant or self.state.stable is None
        return () if instant else self.place.strategy.steps

    @property
    def current(self) -> RolloutStep:
        return self.steps[self.state.step]

    @property
    def id(self) -> ObjectId:
        return rollout_object(self.state.environment, self.state.number)

    def say(self, fact: Fact, reason: str = "", to: ObjectId | None = None) -> None:
        self.emit.append(Emit(fact, reason, to))

    def decision(self) -> Decision[RolloutState]:
        phase = self.state.phase
        ended = phase == "ended"
        pace = {"observing": TICK_S, "returning": RETRY_S, "promoting": TICK_S, "routing": TICK_S}
        look_at = None if ended else self.now + pace.get(phase, IMPATIENT_S)
        return Decision(self.state, tuple(self.todo), tuple(self.emit), look_at, self.lease(), ended)

    def lease(self) -> Lease | None:
        """What the gateway should grant now. Renewed by every decision, so it ends with the decisions."""
        if not self.steps:
            return None
        if self.state.phase in ("shifting", "observing", "promoting"):
            return Lease(self.state.environment, self.id, self.current.weight_pct)
        if self.state.phase in ("returning", "ended"):
            return Lease(self.state.environment, self.id, 0.0)
        return None

    # --- facts ---

    def see(self, recorded: Recorded) -> None:
        match recorded.fact:
            case RolloutRequested() as asked:
                self.start(asked)
            case ActionDone(action=key):
                self.action_done(key)
            case ActionFailed(action=key, problem=problem):
                self.action_failed(key, str(problem))
            case PauseRequested():
                self.state = replace(self.state, paused=True)
            case ResumeRequested():
                self.state = replace(self.state, paused=False)
            case PromoteRequested(by=by):
                self.promote_by(by)
            case AbortRequested(superseded=superseded):
                self.go_back("superseded" if superseded else "aborted", recorded.reason)
            case _:
                pass

    def start(self, asked: RolloutRequested) -> None:
        self.state = replace(
            self.state,
            release=asked.release,
            stable=asked.stable,
            specification=asked.specification,
            instant=asked.instant,
            started_at=self.now,
        )
        strategy = "canary" if self.steps else "instant"
        weights = tuple(step.weight_pct for step in self.steps)
        started = RolloutStarted(asked.number, asked.release, asked.stable, strategy, weights)
        self.say(started, self.why_this_way(asked))
        replicas = self.place.replicas or asked.specification.service.replicas
        environment = self.state.environment
        self.do(
            "start", StartInstances(environment.app, environment.name, asked.release, replicas, asked.specification)
        )

    def why_this_way(self, asked: RolloutRequested) -> str:
        if asked.stable is None:
            return (
                "the first release here: there is nothing to compare it with, so it gets all traffic once it is ready"
            )
        if not self.steps:
            return f"from {short(asked.stable)} at once"
        return f"from {short(asked.stable)} by {' -> '.join(f'{step.weight_pct:g} %' for step in self.steps)} -> 100 %"

    def action_done(self, key: str) -> None:
        if key == "route" and self.state.phase == "routing":
            self.enter_step(0, "the gateway can reach both releases")
        elif key == "promote" and self.state.phase == "promoting":
            self.end("promoted", self.promoted_because())
        elif key.startswith("return") and self.state.phase == "returning":
            self.returned()

    def action_failed(self, key: str, said: str) -> None:
        if key.startswith("return"):
            return  # the share is 0 by the lease already; advance() tries the files again
        what = {"start": "its instances could not be started", "route": "the gateway did not take the route"}
        self.go_back("failed", f"{what.get(key, 'the gateway did not take all traffic over')}: {said}")

    def promote_by(self, by: str) -> None:
        if self.state.phase in ("shifting", "observing"):
            self.promote(f"{by} decided to promote without waiting for evidence", outcome_verdict=False)

    # --- the state of the world ---

    def advance(self) -> None:
        match self.state.phase:
            case "starting":
                self.await_instances()
            case "shifting":
                self.await_weight()
            case "observing":
                self.observe()
            case "returning":
                self.try_return()
            case _:
                pass
        if self.state.phase in ("starting", "routing", "shifting", "observing") and self.overdue():
            self.out_of_time()

    def overdue(self) -> bool:
        return self.state.release != "" and self.now - self.state.started_at > self.place.strategy.deadline_s

    def out_of_time(self) -> None:
        limit = duration(self.place.strategy.deadline_s)
        missing = ""
        if self.state.phase == "observing":
            missing = f": {canary.judge(self.place.analysis, self.state.evidence).reason}"
        self.go_back("rolled_back", f"not promoted within {limit}{missing}")

    def await_instances(self) -> None:
        instances = self.reading.candidate
        failed = [instance for instance in instances if instance.phase == "failed"]
        if failed:
            problem = failed[0].problem
            why = problem.message if problem else "no reason known"
            self.go_back("failed", f"instance {failed[0].id} did not become ready: {why}")
            return
        if not self.state.specification:
            return
        needed = self.place.replicas or self.state.specification.service.replicas
        ready = sum(instance.phase == "ready" for instance in instances)
        if ready < needed:
            return
        took = duration(self.now - self.state.started_at)
        self.say(InstancesReady(self.state.release, ready), f"{count(ready, 'instance')} ready after {took}")
        if self.steps:
            self.state = replace(self.state, phase="routing")
            self.do("route", self.route(self.state.stable or "", self.state.release))
        else:
            self.promote("ready, and the strategy is instant", outcome_verdict=False)

    def enter_step(self, index: int, reason: str) -> None:
        analysis = self.place.analysis
        if index == 0:
            stable = self.reading.counts.get(self.state.stable or "", ArmCounts())
            evidence = canary.begin(analysis, stable.recent)
        else:
            evidence = canary.enter_step(analysis, self.state.evidence)
        self.state = replace(self.state, phase="shifting", step=index, evidence=evidence)
        self.say(StepEntered(index, self.current.weight_pct), reason)

    def await_weight(self) -> None:
        if not self.holds_weight():
            return
        weight = self.current.weight_pct
        self.state = replace(self.state, phase="observing", verified_at=self.now, cursor=self.seen_counts())
        self.say(WeightVerified(self.state.step, weight), f"the gateway was read back and holds {weight:g} %")

    def holds_weight(self) -> bool:
        traffic = self.reading.traffic
        held = traffic.problem is None and traffic.candidate == self.state.release and traffic.lease == self.id
        return held and abs(traffic.candidate_weight_pct - self.current.weight_pct) < 0.011

    def observe(self) -> None:
        if not self.holds_weight():
            held = self.reading.traffic.candidate_weight_pct
            why = self.reading.traffic.problem or f"the gateway holds {held:g} %, not {self.current.weight_pct:g} %"
            self.say(WeightLost(self.state.step, held), f"{why}; evidence does not count until it does")
            self.state = replace(self.state, phase="shifting", evidence=self.fresh_step())
            return
        fresh = self.take_evidence()
        judgement = canary.judge(self.place.analysis, self.state.evidence)
        if fresh is not None:
            self.say(self.counted(fresh, judgement), judgement.reason)
        if judgement.verdict == "FAIL":
            self.say(VerdictReached("FAIL", judgement.offender), judgement.reason)
            self.go_back("rolled_back", judgement.reason)
        elif not self.state.paused:
            self.maybe_advance(judgement)

    def fresh_step(self) -> canary.Evidence:
        return canary.enter_step(self.place.analysis, self.state.evidence)

    def maybe_advance(self, judgement: canary.Judgement) -> None:
        step, seen = self.current, self.state.evidence.step_requests
        held = self.now - self.state.verified_at
        if held < step.hold_s or seen < step.requests:
            return
        if self.state.step + 1 < len(self.steps):
            sure = f"{count(seen, 'candidate request')} in {duration(held)} at {step.weight_pct:g} % gave no alarm"
            self.enter_step(self.state.step + 1, sure)
        elif judgement.verdict == "PASS" and seen > 0:
            self.promote(judgement.reason, outcome_verdict=True)

    def take_evidence(self) -> tuple[canary.Arm, canary.Arm] | None:
        """Count what came since the cursor into the evidence; None while it is too little to be a tick."""
        counts, cursor = self.seen_counts(), self.state.cursor
        if counts and cursor and _epoch(counts) != _epoch(cursor):
            # The meter began anew (a restarted controller): what it missed in between is not evidence.
            self.state = replace(self.state, cursor=counts)
            return None
        candidate, stable = (_since(counts.get(arm), cursor.get(arm)) for arm in self.arms)
        if candidate.requests + stable.requests < canary.STRATUM_REQUESTS:
            return None
        evidence = canary.observe(self.place.analysis, self.state.evidence, candidate, stable)
        self.state = replace(self.state, evidence=evidence, cursor=counts)
        return candidate, stable

    @property
    def arms(self) -> tuple[Digest, Digest]:
        return self.state.release, self.state.stable or ""

    def seen_counts(self) -> Mapping[Digest, ArmCounts]:
        """The two arms' counts as they are kept in the state: without the history that only the beginning needs."""
        seen = self.reading.counts
        return {arm: replace(seen[arm], recent=Histogram()) for arm in self.arms if arm in seen}

    def counted(self, arms: tuple[canary.Arm, canary.Arm], judgement: canary.Judgement) -> EvidenceCounted:
        candidate, stable = arms
        return EvidenceCounted(
            index=self.state.step,
            candidate_requests=candidate.requests,
            candidate_errors=candidate.errors,
            stable_requests=stable.requests,
            stable_errors=stable.errors,
            candidate_p95_ms=candidate.latency.quantile_ms(0.95),
            stable_p95_ms=stable.latency.quantile_ms(0.95),
            rollback_log_e=judgement.rollback_log_e,
            promote_log_e=judgement.promote_log_e,
            rollback_at=judgement.rollback_at,
            promote_at=judgement.promote_at,
        )

    # --- endings ---

    def promote(self, reason: str, *, outcome_verdict: bool) -> None:
        if outcome_verdict:
            self.say(VerdictReached("PASS", ""), reason)
        self.state = replace(self.state, phase="promoting", ending=Ending("promoted", reason))
        self.do("promote", self.route(self.state.release, None))

    def promoted_because(self) -> str:
        return self.state.ending.reason if self.state.ending else ""

    def go_back(self, outcome: RolloutOutcome, reason: str) -> None:
        if self.state.phase in ("returning", "ended"):
            return
        nothing_moved = self.state.phase == "starting" or self.state.stable is None
        self.state = replace(self.state, phase="returning", ending=Ending(outcome, reason))
        if nothing_moved:
            self.end(outcome, reason)
        else:
            self.try_return()

    def try_return(self) -> None:
        """Put the files right too. The key changes with each try, so a failed one is tried again."""
        stable, attempt = self.state.stable, self.state.attempts + 1
        assert stable is not None
        if self.now >= self.state.retry_at:
            self.state = replace(self.state, attempts=attempt, retry_at=self.now + RETRY_S)
            self.do(f"return-{attempt}", self.route(stable, None))

    def returned(self) -> None:
        stable = self.state.stable
        assert stable is not None
        self.say(TrafficReturned(stable), f"all traffic is on {short(stable)}")
        ending = self.state.ending or Ending("aborted", "")
        self.end(ending.outcome, ending.reason)

    def end(self, outcome: RolloutOutcome, reason: str) -> None:
        self.state = replace(self.state, phase="ended")
        took = self.now - self.state.started_at
        ended = RolloutEnded(self.state.number, self.state.release, self.state.stable, outcome, took)
        self.say(ended, reason)
        self.say(ended, reason, to=self.state.environment.object_id)

    # --- actions ---

    def do(self, key: str, action: Action) -> None:
        self.todo.append(Todo(key, action))

    def route(self, stable: Digest, candidate: Digest | None) -> ApplyRoute:
        assert self.state.specification is not None
        environment = self.state.environment
        lease = self.id if candidate else None
        return ApplyRoute(environment.app, environment.name, stable, candidate, lease, self.state.specification)


def _since(counts: ArmCounts | None, cursor: ArmCounts | None) -> canary.Arm:
    now, then = counts or ArmCounts(), cursor or ArmCounts()
    return canary.Arm(
        max(0, now.requests - then.requests), max(0, now.errors - then.errors), now.latency.minus(then.latency)
    )


def _epoch(counts: Mapping[Digest, ArmCounts]) -> str:
    return next(iter(counts.values())).epoch
