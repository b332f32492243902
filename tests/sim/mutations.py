"""Deliberate bugs, each of which the simulator has to find: a simulator that finds nothing may just look away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from trimtab.core.decide.application import ApplicationReading
from trimtab.core.decide.environment import machine as environment
from trimtab.core.decide.environment import upkeep
from trimtab.core.decide.rollout import machine as rollout
from trimtab.core.decide.rollout import moves, waiting
from trimtab.core.decide.rollout.watching import Watching
from trimtab.core.model.actions import ApplyRoute, RetireRelease
from trimtab.core.model.facts import AbortRequested, RolloutEnded
from trimtab.core.model.identity import kind_of
from trimtab.core.stats import evidence
from trimtab.engine.delivery import Delivery
from trimtab.engine.loop import Engine, Order
from trimtab.engine.observe import Applications
from trimtab.testing import memory_traffic
from trimtab.testing.memory_processes import MemoryProcesses
from trimtab.testing.memory_runtime import MemoryRuntime
from trimtab.testing.memory_state_repository import MemoryStateRepository
from trimtab.testing.memory_store import MemoryStore
from trimtab.testing.memory_traffic import MemoryTraffic

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug in a sentence, how it is made, and within how many seeds it is found."""

    says: str
    make: Callable[[Patch], None]
    seeds: int = 40


MUTATIONS: list[Mutation] = []


def mutation(says: str, seeds: int = 40) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def kept(make: Callable[[Patch], None]) -> Callable[[Patch], None]:
        MUTATIONS.append(Mutation(says, make, seeds))
        return make

    return kept


# --- fences, leases, the store ---


@mutation("the gateway does not check fences", seeds=250)
def _(patch: Patch) -> None:
    patch.setattr(MemoryTraffic, "_check_fence", lambda *_: None)


@mutation("the runtime does not check fences", seeds=400)
def _(patch: Patch) -> None:
    patch.setattr(MemoryRuntime, "_check_fence", lambda *_: None)


@mutation("the store takes commits with a stale fence")
def _(patch: Patch) -> None:
    patch.setattr(MemoryStore, "_fenced", lambda self, object_id, _fence: self._objects[object_id])


@mutation("the fence does not grow when an object changes hands")
def _(patch: Patch) -> None:
    claim = MemoryStore.claim

    def sticky(self: Any, object_id: str, owner: str, now: float, ttl_s: float) -> Any:
        row = self._objects.get(object_id)
        before = row.fence if row is not None else 0
        claimed = claim(self, object_id, owner, now, ttl_s)
        if claimed is not None and before:
            self._objects[object_id].fence = before
            return replace(claimed, fence=before)
        return claimed

    patch.setattr(MemoryStore, "claim", sticky)


@mutation("the candidate's lease never runs out")
def _(patch: Patch) -> None:
    patch.setattr(memory_traffic, "LEASE_TTL_S", 1e9)


@mutation("actions are done before they are stored")
def _(patch: Patch) -> None:
    async def early(self: Any, object_id: str) -> None:
        kind = self._kinds[kind_of(object_id)]
        claimed = self._claim(object_id)
        if claimed is None:
            return
        claim, gate = claimed
        state, now = self._read(object_id, kind, claim.state), self._clock.now()
        decision = await kind.decide(state, claim.facts, now)
        for todo in decision.todo:
            if isinstance(todo.action, ApplyRoute):
                await self._handlers[ApplyRoute].do(Order(todo.action, object_id, todo.key, gate))
        self._commit(claim, decision, now)
        if decision.lease is not None:
            await self._traffic.lease(decision.lease.environment, decision.lease.id, decision.lease.share, gate)

    patch.setattr(Engine, "_decide", early)


@mutation("an action counts as done as soon as it was handed out")
def _(patch: Patch) -> None:
    outbox = MemoryStore.outbox

    def forgetful(self: Any, now: float, owner: str, limit: int = 100) -> Any:
        offered = outbox(self, now, owner, limit)
        for entry in offered:
            if entry.id in self._handed_out:
                self._outbox[entry.id].done = True
            self._handed_out.add(entry.id)
        return tuple(entry for entry in offered if not self._outbox[entry.id].done)

    patch.setattr(MemoryStore, "outbox", forgetful)
    patch.setattr(MemoryStore, "_handed_out", set(), raising=False)


@mutation("what came in while an object was decided counts as seen")
def _(patch: Patch) -> None:
    commit = MemoryStore.commit

    def deaf(self: Any, claim: Any, **words: Any) -> Any:
        recorded = commit(self, claim, **words)
        self._objects[claim.object].inbox = []
        return recorded

    patch.setattr(MemoryStore, "commit", deaf)


# --- evidence and steps ---


@mutation("evidence is kept over a step change")
def _(patch: Patch) -> None:
    patch.setattr(
        evidence, "enter_step", lambda _spec, before, *, comparing=False: replace(before, comparing=comparing)
    )


@mutation("a share that was lost is not noticed")
def _(patch: Patch) -> None:
    patch.setattr(rollout._Work, "holds_share", lambda _self: True)


@mutation("the next step's share is granted before the step is entered")
def _(patch: Patch) -> None:
    share_of = moves.share_of

    def hasty(state: Any, step: Any) -> Any:
        after = state.steps[state.step + 1] if state.step + 1 < len(state.steps) else step
        return share_of(state, after)

    patch.setattr(moves, "share_of", hasty)


@mutation("the share stays while a rollout goes back")
def _(patch: Patch) -> None:
    share_now = moves.share_now

    def lasting(state: Any, now: float) -> Any:
        return state.share if state.phase == "returning" else share_now(state, now)

    patch.setattr(moves, "share_now", lasting)
    go_back = rollout._Work.go_back

    def keeping(self: Any, *words: Any, **more: Any) -> None:
        share = share_now(self.state, self.now)
        go_back(self, *words, **more)
        if share is not None:
            self.state = replace(self.state, share=share)

    patch.setattr(rollout._Work, "go_back", keeping)


@mutation("a segment's share is kept for the next segment", seeds=250)
def _(patch: Patch) -> None:
    patch.setattr(moves, "has_new_segments", lambda _state: False)


@mutation("the number of requests that a step asks for is not waited for")
def _(patch: Patch) -> None:
    for_step = waiting.for_step

    def hurried(state: Any, step: Any, judgement: Any, now: float) -> str:
        return for_step(state, replace(step, requests=0), judgement, now)

    patch.setattr(waiting, "for_step", hurried)


@mutation("a step that asks for evidence does not wait for it")
def _(patch: Patch) -> None:
    for_step = waiting.for_step

    def trusting(state: Any, step: Any, judgement: Any, now: float) -> str:
        return for_step(state, replace(step, evidence=False), judgement, now)

    patch.setattr(waiting, "for_step", trusting)


# --- harm ---


@mutation("harm is not looked for while a step asks for no evidence")
def _(patch: Patch) -> None:
    look = rollout._Work.look_for_harm

    def lazy(self: Any) -> None:
        step = self.state.current
        if step is not None and step.evidence:
            look(self)
            return
        self.state, facts = Watching(self.state, self.reading, self.now).count()
        for fact, reason in facts:
            self.say(fact, reason)

    patch.setattr(rollout._Work, "look_for_harm", lazy)


@mutation("a FAIL is only said, and nothing goes back")
def _(patch: Patch) -> None:
    go_back = rollout._Work.go_back

    def deaf(self: Any, outcome: Any, reason: str, *, proven_worse: bool = False) -> None:
        if not proven_worse:
            go_back(self, outcome, reason)

    patch.setattr(rollout._Work, "go_back", deaf)


@mutation("a gate that says no is taken for a yes")
def _(patch: Patch) -> None:
    ask = rollout._Work.ask_gate

    def deaf(self: Any, step: Any) -> None:
        if self.reading.gate is not None:
            self.reading = replace(self.reading, gate=replace(self.reading.gate, outcome="passed"))
        ask(self, step)

    patch.setattr(rollout._Work, "ask_gate", deaf)


@mutation("what was proven worse is not remembered")
def _(patch: Patch) -> None:
    patch.setattr(environment.Work, "quarantine", lambda *_: None)


# --- instances ---


@mutation("a rollout retires the stable release when its promotion begins")
def _(patch: Patch) -> None:
    take_over = rollout._Work.take_over

    def greedy(self: Any) -> None:
        take_over(self)
        if self.state.stable is not None:
            place = self.state.environment
            self.do("retire", RetireRelease(place.app, place.name, self.state.stable, 0.0, 0.0))

    patch.setattr(rollout._Work, "take_over", greedy)
    _retire_at_once(patch)


@mutation("what one of two arms stops is gone for the other, too")
def _(patch: Patch) -> None:
    stop = MemoryRuntime.stop

    async def rough(self: Any, environment: Any, arm: Any, keep: int = 0, *, fence: int = 0) -> None:
        shared = [each for each in self._sets if each.environment == environment and arm in each.uses]
        await stop(self, environment, arm, keep, fence=fence)
        if keep == 0:
            self._sets = [each for each in self._sets if each not in shared]

    patch.setattr(MemoryRuntime, "stop", rough)


@mutation("the scale-down delay is skipped")
def _(patch: Patch) -> None:
    patch.setattr(environment.Work, "scale_down_delay_s", 0.0)


@mutation("a retirement does not ask whether it is still wanted")
def _(patch: Patch) -> None:
    _retire_at_once(patch)


def _retire_at_once(patch: Patch) -> None:
    """Nobody asks whether the release is still to be retired."""

    async def retire(self: Any, order: Order) -> Any:
        return await Delivery_retire(replace(self, retires=lambda *_: True), order)

    patch.setattr(Delivery, "retire_release", retire)


Delivery_retire = Delivery.retire_release


@mutation("what is left over is never stopped")
def _(patch: Patch) -> None:
    patch.setattr(upkeep, "leftovers", lambda *_: set())
    retire = environment.Work.retire
    patch.setattr(
        environment.Work, "retire", lambda self, arm, delay_s: retire(self, arm, delay_s) if delay_s else None
    )


@mutation("a release that failed is retired while it may still be in the route", seeds=250)
def _(patch: Patch) -> None:
    go_back = rollout._Work.go_back

    def rash(self: Any, *words: Any, **more: Any) -> None:
        was = self.state.phase
        go_back(self, *words, **more)
        if was not in ("returning", "ended") and self.state.routed:
            place = self.state.environment
            self.state = replace(self.state, phase="ended")
            self.todo.clear()
            ended = RolloutEnded(self.state.number, self.state.release, self.state.stable, "rolled_back", 0.0)
            self.say(ended)
            self.say(ended, to=place.object_id)

    patch.setattr(rollout._Work, "go_back", rash)


# --- Git, runs, endings ---


@mutation("a write to the state repository is repeated under its key")
def _(patch: Patch) -> None:
    patch.setattr("trimtab.testing.memory_state_repository.KEY_TRAILER", "Trimtab-Key")

    async def write(self: Any, place: Any, release: str, **words: Any) -> str:
        from trimtab.core.model.desired import desired_path, render_desired

        trailers = {**words["trailers"], "Trimtab-Key": words["key"]}
        content = {desired_path(place): render_desired(place, release)}
        return str(self._add(content, "Trimtab", words["subject"], words["body"], trailers))

    patch.setattr(MemoryStateRepository, "write", write)


@mutation("a write to the state repository that failed is not tried again")
def _(patch: Patch) -> None:
    patch.setattr(environment.Work, "write_again", lambda _self: None)


@mutation("what others wrote to Git is not looked at")
def _(patch: Patch) -> None:
    patch.setattr(environment.Work, "compare_with_git", lambda _self: None)


@mutation("a rollback is not written to Git")
def _(patch: Patch) -> None:
    commit = environment.Work.commit

    def silent(self: Any, offer: Any, subject: str, why: str, **words: Any) -> None:
        if not subject.startswith("Roll back"):
            commit(self, offer, subject, why, **words)

    patch.setattr(environment.Work, "commit", silent)


@mutation("the outcome of a rollout is not told to its environment")
def _(patch: Patch) -> None:
    say = rollout._Work.say

    def silent(self: Any, fact: Any, reason: str = "", to: Any = None) -> None:
        if to is None:
            say(self, fact, reason)

    patch.setattr(rollout._Work, "say", silent)


@mutation("going back is tried only once", seeds=250)
def _(patch: Patch) -> None:
    try_return = rollout._Work.try_return

    def once(self: Any) -> None:
        if self.state.attempts == 0:
            try_return(self)

    patch.setattr(rollout._Work, "try_return", once)


@mutation("a rollout that makes no progress is waited for for ever")
def _(patch: Patch) -> None:
    patch.setattr(rollout._Work, "heed_deadlines", lambda _self: None)


@mutation("a push whose announcement was lost is not found")
def _(patch: Patch) -> None:
    async def blind(_self: Any, _app: str, _source: Any) -> ApplicationReading:
        return ApplicationReading()

    patch.setattr(Applications, "_look", blind)


@mutation("a step that runs already is started again")
def _(patch: Patch) -> None:
    start = MemoryProcesses.start

    async def eager(self: Any, spec: Any) -> Any:
        self._processes.pop(spec.name, None)
        return await start(self, spec)

    async def unknown(_self: Any, _name: str) -> None:
        return None

    patch.setattr(MemoryProcesses, "start", eager)
    patch.setattr("trimtab.testing.sim.truth.TrueProcesses.start", eager_true(eager))


def eager_true(start: Any) -> Any:
    async def counted(self: Any, spec: Any) -> Any:
        self.started.append(spec.name)
        return await start(self, spec)

    return counted


@mutation("a newer change aborts nothing, though Git says something else")
def _(patch: Patch) -> None:
    see = rollout._Work.see

    def deaf(self: Any, recorded: Any) -> None:
        if not isinstance(recorded.fact, AbortRequested):
            see(self, recorded)

    patch.setattr(rollout._Work, "see", deaf)
