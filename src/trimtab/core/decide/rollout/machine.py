"""The rollout: instances up, traffic over step by step, a verdict, and either all of it or none of it.

    (gathering) -> (starting -> routing -> shifting -> observing)* -> starting -> ramping -> promoting -> ended
                                   any of them -> returning -> ended

Safety, in words: the candidate never gets more than the current step's share; evidence counts for a step only while
the data plane was read back to hold exactly that share; a step that asks for evidence passes on its own alone; harm is
looked for whenever the candidate has traffic, whatever is waited for; and if whoever decides dies, the share runs out
by itself (the lease).
"""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.decide.rollout import moves, waiting, words
from trimtab.core.decide.rollout.counting import Cursor
from trimtab.core.decide.rollout.state import Ending, GateState, Phase, RolloutReading, RolloutState
from trimtab.core.decide.rollout.watching import Watching
from trimtab.core.decide.trust import REFUSED
from trimtab.core.errors import Problem
from trimtab.core.model.actions import Action, StopGate
from trimtab.core.model.decision import Decision, Emit, Lease, Todo
from trimtab.core.model.facts import (
    AbortRequested,
    ActionDone,
    ActionFailed,
    ApprovalAwaited,
    ApproveRequested,
    Fact,
    GateEnded,
    GateStarted,
    InstancesReady,
    PauseRequested,
    PromoteRequested,
    Recorded,
    ResumeRequested,
    RolloutEnded,
    RolloutHeld,
    RolloutOutcome,
    RolloutReleased,
    RolloutRequested,
    RolloutStarted,
    StepEntered,
    TrafficReturned,
    VerdictReached,
    WeightLost,
    WeightVerified,
)
from trimtab.core.model.identity import ObjectId, short
from trimtab.core.model.strategy import RolloutStep
from trimtab.core.model.traffic import NO_SHARE
from trimtab.core.say import count, duration

TICK_S = 0.5
"""How often evidence is read while a step is observed."""
IMPATIENT_S = 0.1
"""How often the world is looked at while instances start or a weight is on its way."""
RETRY_S = 2.0

_PACE_S = {
    "observing": TICK_S,
    "ramping": TICK_S,
    "promoting": TICK_S,
    "routing": TICK_S,
    "gathering": TICK_S,
    "returning": RETRY_S,
}
_OVER = ("returning", "ended")
_BEFORE_TRAFFIC = ("gathering", "starting", "routing")


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

    def say(self, fact: Fact, reason: str = "", to: ObjectId | None = None) -> None:
        self.emit.append(Emit(fact, reason, to))

    def do(self, key: str, action: Action) -> None:
        self.todo.append(Todo(key, action))

    def enter(self, phase: Phase) -> None:
        self.state = replace(self.state, phase=phase, phase_since=self.now)

    def decision(self) -> Decision[RolloutState]:
        phase = self.state.phase
        ended = phase == "ended"
        look_at = None if ended else self.now + _PACE_S.get(phase, IMPATIENT_S)
        share = moves.share_now(self.state, self.now)
        lease = None if share is None else Lease(self.state.environment, self.state.lease_id, share)
        return Decision(self.state, tuple(self.todo), tuple(self.emit), look_at, lease, ended)

    # --- facts ---

    def see(self, recorded: Recorded) -> None:
        match recorded.fact:
            case RolloutRequested() as asked:
                self.begin(asked)
            case ActionDone(action=key):
                self.action_done(key)
            case ActionFailed(action=key, problem=problem):
                self.action_failed(key, problem)
            case GateStarted():
                pass  # a record for people: the gate's process is looked at under the name that was asked for
            case PauseRequested():
                self.state = replace(self.state, paused=True)
            case ResumeRequested():
                self.state = replace(self.state, paused=False)
            case ApproveRequested():
                self.state = replace(self.state, approved=True)
            case PromoteRequested(by=by):
                self.promote_by(by)
            case AbortRequested(superseded=superseded):
                self.go_back("superseded" if superseded else "aborted", recorded.reason)
            case _:
                pass

    def begin(self, asked: RolloutRequested) -> None:
        self.state = replace(
            self.state,
            release=asked.release,
            stable=asked.stable,
            specification=asked.specification,
            instant=asked.instant,
            started_at=self.now,
            ready_for=1,
        )
        steps = self.state.steps
        strategy = self.state.place.strategy.kind if steps else "instant"
        weights = tuple(moves.share_of(self.state, step).candidate_pct for step in steps)
        started = RolloutStarted(asked.number, asked.release, asked.stable, strategy, weights)
        self.say(started, words.why_this_way(asked, steps))
        self.prepare()

    def action_done(self, key: str) -> None:
        self.state = replace(self.state, starts=tuple(start for start in self.state.starts if start != key))
        phase = self.state.phase
        if key == f"route-{self.state.step}" and phase == "routing":
            self.state = replace(self.state, routed=True)
            for action in moves.scale_downs(self.state):
                self.do(f"scale-{self.state.step}-{short(action.arm)}", action)
            self.shift("the gateway can reach both releases" if self.state.step == 0 else "the gateway took its route")
        elif key == "promote" and phase == "promoting":
            self.end("promoted", self.state.ending.reason if self.state.ending else "")
        elif key.startswith("return") and phase == "returning":
            self.returned()

    def action_failed(self, key: str, problem: Problem) -> None:
        if key.startswith(("return", "scale", "drop")):
            return  # the share is 0 by the lease already, advance() tries again; what stays running is tidied later
        if problem.code == REFUSED:
            self.go_back("failed", str(replace(problem, where="")))
            return
        causes = {
            "start": "its instances could not be started",
            "route": "the gateway did not take the route",
            "gate": "its gate could not be asked",
        }
        what = causes.get(key.partition("-")[0], "the gateway did not take all traffic over")
        self.go_back("failed", f"{what}: {problem}")

    def promote_by(self, by: str) -> None:
        if self.state.routed and self.state.phase not in (*_OVER, "ramping", "promoting"):
            self.promote(f"{by} decided to promote without waiting for evidence")

    # --- the state of the world ---

    def advance(self) -> None:
        if self.state.release and self.state.phase not in _OVER:
            self.look_for_harm()
            self.heed_group()
        match self.state.phase:
            case "gathering":
                self.gather()
            case "starting":
                self.await_instances()
            case "shifting":
                self.await_weight()
            case "observing":
                self.observe()
            case "ramping":
                self.await_ramp()
            case "returning":
                self.try_return()
            case _:
                pass
        if self.state.release and self.state.phase not in (*_OVER, "promoting"):
            self.heed_deadlines()

    def look_for_harm(self) -> None:
        """Whatever the rollout waits for: while the candidate has traffic, a candidate that is worse goes back."""
        watching = Watching(self.state, self.reading, self.now)
        if not self.state.routed or not watching.can_see:
            return
        self.state, facts = watching.count()
        for fact, reason in facts:
            self.say(fact, reason)
        judgement = watching.judgement
        if judgement is not None and judgement.verdict == "FAIL":
            self.say(VerdictReached("FAIL", judgement.offender), watching.why)
            self.go_back("rolled_back", watching.why, proven_worse=True)

    def heed_group(self) -> None:
        peer = waiting.group_went_back(self.state, self.reading)
        if peer is not None and self.state.phase not in _OVER:
            self.go_back("aborted", f"{peer.member} of its group went back: {peer.reason}")

    def heed_deadlines(self) -> None:
        strategy, phase = self.state.place.strategy, self.state.phase
        if self.now - self.state.started_at > strategy.deadline_s:
            missing = ""
            if phase == "observing" and self.state.current is not None:
                judgement = Watching(self.state, self.reading, self.now).judge()
                missing = waiting.for_step(self.state, self.state.current, judgement, self.now) or self.state.held
            self.go_back(
                "rolled_back", f"not promoted within {duration(strategy.deadline_s)}{': ' if missing else ''}{missing}"
            )
            return
        step = self.state.current
        allowed_s = strategy.progress_deadline_s + (step.ramp_s if step is not None else 0.0)
        if phase in ("starting", "routing", "shifting") and self.now - self.state.phase_since > allowed_s:
            what = {"starting": "instances", "routing": "the gateway to take the route"}.get(phase, "the share")
            self.go_back("rolled_back", f"no progress for {duration(allowed_s)}, waiting for {what}")

    # --- into a step ---

    def prepare(self) -> None:
        """Start what the current step needs and does not run yet."""
        needed = moves.needed(self.state)
        for arm, replicas in needed.items():
            if replicas > self.state.wanted.get(arm, 0):
                _, _, guise = arm.partition("@")
                key = f"start-{self.state.step}{'-' if guise else ''}{guise}"
                self.do(key, moves.start(self.state, arm, replicas))
                self.state = replace(self.state, starts=(*self.state.starts, key))
        self.state = replace(self.state, wanted={**self.state.wanted, **needed})
        self.enter("starting")

    def await_instances(self) -> None:
        needed = moves.needed(self.state)
        found = {arm: self.reading.instances.get(arm, ()) for arm in needed}
        for arm, instances in found.items():
            failed = [instance for instance in instances if instance.phase == "failed"]
            if failed:
                problem = failed[0].problem
                why = problem.message if problem else "no reason known"
                self.go_back("failed", f"instance {failed[0].id} of {short(arm)} did not become ready: {why}")
                return
        ready = {arm: sum(instance.phase == "ready" for instance in instances) for arm, instances in found.items()}
        if self.state.starts or not all(ready[arm] >= replicas for arm, replicas in needed.items()):
            return
        if self.state.step == 0:
            number, took = sum(ready.values()), duration(self.now - self.state.started_at)
            self.say(InstancesReady(self.state.release, number), f"{count(number, 'instance')} ready after {took}")
        self.after_instances()

    def after_instances(self) -> None:
        if self.state.current is None:
            self.last_move()
        elif self.state.step == 0 and waiting.for_group(self.state, self.reading, self.now):
            self.enter("gathering")
            self.gather()
        else:
            self.lay_route()

    def gather(self) -> None:
        missing = waiting.for_group(self.state, self.reading, self.now)
        self.hold(missing)
        if not missing:
            self.lay_route()

    def lay_route(self) -> None:
        if not moves.has_new_shape(self.state):
            self.shift("")
            return
        if moves.has_new_segments(self.state):
            self.state = replace(self.state, generation=self.state.generation + 1, share=NO_SHARE)
        self.enter("routing")
        self.do(f"route-{self.state.step}", moves.route(self.state))

    def shift(self, reason: str) -> None:
        step = self.state.current
        assert step is not None
        self.state = Watching(self.state, self.reading, self.now).enter_step()
        self.state = replace(self.state, entered_at=self.now, gate=None, approval_asked=False, approved=False)
        self.enter("shifting")
        weight_pct = moves.share_of(self.state, step).candidate_pct
        self.say(StepEntered(self.state.step, weight_pct, step.name), reason or self.advance_reason())

    def advance_reason(self) -> str:
        before = self.state.before
        return waiting.fulfilled(self.state, before, self.now) if before is not None else ""

    def await_weight(self) -> None:
        step = self.state.current
        ramp_s = step.ramp_s if step is not None and step.experiment is None else 0.0
        if self.now - self.state.entered_at < ramp_s or not self.holds_share():
            return
        weight_pct = moves.share_of(self.state, step).candidate_pct
        self.enter("observing")
        self.state = replace(self.state, verified_at=self.now)
        self.state = Watching(self.state, self.reading, self.now).begin_step()
        self.say(
            WeightVerified(self.state.step, weight_pct), f"the gateway was read back and holds {self.words_of_share()}"
        )

    def holds_share(self) -> bool:
        traffic, step = self.reading.traffic, self.state.current
        held = traffic.problem is None and traffic.candidate == self.state.release
        if not held or step is None or traffic.lease != self.state.lease_id:
            return False
        as_wanted = traffic.segments == step.segments and traffic.mirror == step.mirror
        return as_wanted and traffic.share.is_close_to(moves.share_of(self.state, step))

    def words_of_share(self) -> str:
        share = moves.share_of(self.state, self.state.current)
        mirrored = f", {share.mirror_pct:g} % mirrored" if share.mirror_pct else ""
        return f"{share.candidate_pct:g} %{mirrored}"

    # --- in a step ---

    def observe(self) -> None:
        step = self.state.current
        assert step is not None
        if not self.holds_share():
            held = self.reading.traffic.share.candidate_pct
            why = self.reading.traffic.problem or f"the gateway holds {held:g} %, not {self.words_of_share()}"
            self.say(WeightLost(self.state.step, held), f"{why}; evidence does not count until it does")
            self.state = Watching(self.state, self.reading, self.now).begin_again()
            self.enter("shifting")
            return
        self.ask_gate(step)
        self.ask_approval(step)
        if self.state.phase == "observing":
            self.maybe_advance(step)

    def ask_gate(self, step: RolloutStep) -> None:
        if step.gate is None:
            return
        if self.state.gate is None:
            action = moves.gate(self.state, step.gate)
            self.state = replace(self.state, gate=GateState(action.process, self.now))
            self.do(f"gate-{self.state.step}", action)
            return
        ended = self.reading.gate
        if ended is None or self.state.gate.passed:
            return
        passed = ended.outcome == "passed"
        why = f"gate {step.gate.name} {ended.outcome.replace('_', ' ')}" + (f": {ended.detail}" if ended.detail else "")
        self.say(GateEnded(step.gate.name, passed, ended.duration_s), why)
        self.state = replace(self.state, gate=replace(self.state.gate, passed=passed))
        if not passed:
            self.go_back("rolled_back", why, proven_worse=ended.outcome == "failed")

    def drop_gate(self) -> None:
        """Whatever a gate would still say does not matter any more."""
        if self.state.gate is not None and not self.state.gate.passed and self.reading.gate is None:
            self.do(f"drop-gate-{self.state.step}", StopGate(self.state.gate.process))

    def ask_approval(self, step: RolloutStep) -> None:
        if step.approve and not self.state.approved and not self.state.approval_asked:
            self.state = replace(self.state, approval_asked=True)
            hint = f"step {self.state.step + 1} waits for a person: `trimtab approve` or `trimtab abort`"
            self.say(ApprovalAwaited(self.state.step), hint)

    def maybe_advance(self, step: RolloutStep) -> None:
        watching = Watching(self.state, self.reading, self.now)
        judgement = watching.judge()
        not_to_trust = watching.not_to_trust(judgement)
        if not_to_trust or self.state.paused:
            self.hold(not_to_trust)
            return
        if waiting.for_step(self.state, step, judgement, self.now):
            self.hold("")
            return
        self.state = replace(self.state, ready_for=self.state.step + 2)
        behind = waiting.for_group(self.state, self.reading, self.now)
        self.hold(behind)
        if behind:
            return
        for fact, reason in watching.step_ends():
            self.say(fact, reason)
        if self.state.step + 1 == len(self.state.steps):
            judged = step.evidence and judgement.verdict == "PASS"
            if judged:
                self.say(VerdictReached("PASS", ""), judgement.reason)
            self.promote(judgement.reason if judged else waiting.fulfilled(self.state, step, self.now))
        else:
            self.leave()
            self.prepare()
            self.await_instances()

    def leave(self) -> None:
        self.state = replace(
            self.state, share=moves.share_now(self.state, self.now) or NO_SHARE, step=self.state.step + 1
        )

    def hold(self, reason: str) -> None:
        """Say once why the rollout is held, and once that it is not any more."""
        kind = reason.partition(":")[0]
        if kind == self.state.held.partition(":")[0]:
            return
        if reason:
            self.say(RolloutHeld(), reason)
        else:
            self.say(RolloutReleased(), "what held it is gone")
        self.state = replace(self.state, held=reason)

    # --- endings ---

    def promote(self, reason: str) -> None:
        """Everything is decided: all instances, then all traffic."""
        self.drop_gate()
        ramp = moves.ramps_out(self.state)
        share = moves.share_now(self.state, self.now) or NO_SHARE
        self.state = replace(
            self.state, share=share, step=len(self.state.steps), ending=Ending("promoted", reason), ramps_out=ramp
        )
        self.prepare()
        self.await_instances()

    def last_move(self) -> None:
        if self.state.ending is None:
            self.state = replace(self.state, ending=Ending("promoted", "ready, and the strategy is instant"))
        if self.state.ramps_out:
            self.state = replace(self.state, entered_at=self.now)
            self.enter("ramping")
        else:
            self.take_over()

    def await_ramp(self) -> None:
        if self.now - self.state.entered_at >= self.state.place.strategy.ramp_s:
            self.state = replace(self.state, share=moves.share_now(self.state, self.now) or NO_SHARE)
            self.take_over()

    def take_over(self) -> None:
        self.enter("promoting")
        self.do("promote", moves.all_to(self.state, self.state.release))

    def go_back(self, outcome: RolloutOutcome, reason: str, *, proven_worse: bool = False) -> None:
        if self.state.phase in _OVER:
            return
        self.drop_gate()
        self.state = replace(self.state, ending=Ending(outcome, reason, proven_worse), held="")
        touched = self.state.routed or self.state.phase in ("routing", "promoting")
        self.enter("returning")
        if touched and self.state.stable is not None:
            self.try_return()
        else:
            self.end(outcome, reason)

    def try_return(self) -> None:
        """Put the files right too. The key changes with each try, so a failed one is tried again."""
        stable, attempt = self.state.stable, self.state.attempts + 1
        assert stable is not None
        if self.now >= self.state.retry_at:
            self.state = replace(self.state, attempts=attempt, retry_at=self.now + RETRY_S)
            self.do(f"return-{attempt}", moves.all_to(self.state, stable))

    def returned(self) -> None:
        stable = self.state.stable
        assert stable is not None
        self.say(TrafficReturned(stable), f"all traffic is on {short(stable)}")
        ending = self.state.ending or Ending("aborted", "")
        self.end(ending.outcome, ending.reason)

    def end(self, outcome: RolloutOutcome, reason: str) -> None:
        self.enter("ended")
        self.state = replace(self.state, cursor=Cursor())
        took = self.now - self.state.started_at
        worse = self.state.ending is not None and self.state.ending.proven_worse
        ended = RolloutEnded(self.state.number, self.state.release, self.state.stable, outcome, took, worse)
        self.say(ended, reason)
        self.say(ended, reason, to=self.state.environment.object_id)
