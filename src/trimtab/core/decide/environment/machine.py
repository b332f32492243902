"""One decision of an environment that lasts: facts in, commits, rollouts and repairs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trimtab.core.decide.environment import upkeep
from trimtab.core.decide.environment.admission import hold
from trimtab.core.decide.environment.budget import count
from trimtab.core.decide.environment.state import HISTORY, DesiredReading, EnvironmentReading, EnvironmentState, Offer
from trimtab.core.errors import Problem
from trimtab.core.model.actions import CommitDesired, RetireRelease
from trimtab.core.model.decision import Decision, Emit, Todo
from trimtab.core.model.facts import (
    AbortRequested,
    ActionDone,
    ActionFailed,
    DeliveryHeld,
    DeliveryResumed,
    DesiredAdopted,
    DesiredCommitted,
    DesiredRefused,
    Fact,
    FreezeRequested,
    LiveChanged,
    PinRequested,
    ProblemCleared,
    ProblemFound,
    QuarantineLifted,
    Recorded,
    ReleaseOffered,
    ReleaseQuarantined,
    ReleaseRefused,
    ReleaseRetired,
    ReleaseSuperseded,
    RollbackRequested,
    RolloutEnded,
    RolloutRequested,
    ThawRequested,
    UnpinRequested,
)
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, ObjectId, rollout_object, short
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import ArmCounts
from trimtab.core.say import duration

IDLE_S = 2.0
"""How often an environment compares live with desired when nothing wakes it earlier."""
WRITE_AGAIN_S = 5.0
"""How long after a failure the state repository is written again."""


class Work:
    """One decision in the making. Local to the call: nothing outlives it."""

    def __init__(self, state: EnvironmentState, reading: EnvironmentReading, now: float) -> None:
        self.state, self.reading, self.now = state, reading, now
        self.todo: list[Todo] = []
        self.emit: list[Emit] = []

    def decide(self, facts: tuple[Recorded, ...]) -> Decision[EnvironmentState]:
        for recorded in facts:
            self.see(recorded)
        self.count_budget()
        self.write_again()
        self.compare_with_git()
        self.start_what_is_due()
        self.repair()
        self.note_problems()
        return Decision(self.state, tuple(self.todo), tuple(self.emit), look_at=self.look_at, idle=self.idle)

    @property
    def id(self) -> EnvironmentId:
        return self.state.environment

    @property
    def busy(self) -> bool:
        return self.state.rollout is not None or self.state.committing is not None

    @property
    def idle(self) -> bool:
        """Nothing is under way, waits or is wrong."""
        state = self.state
        return not (self.busy or state.waiting or state.retiring or state.repairing or state.problems)

    @property
    def look_at(self) -> float:
        return self.now + IDLE_S

    def say(self, fact: Fact, reason: str = "", to: ObjectId | None = None) -> None:
        self.emit.append(Emit(fact, reason, to))

    def key(self, what: str) -> str:
        self.state = replace(self.state, keys=self.state.keys + 1)
        return f"{what}-{self.state.keys}"

    # --- facts ---

    def see(self, recorded: Recorded) -> None:
        match recorded.fact:
            case ReleaseOffered() as offered:
                self.offered(offered)
            case DesiredCommitted() as written:
                self.desired_committed(written)
            case RolloutEnded() as ended if ended.number == self.state.rollout:
                self.rollout_ended(ended, recorded.reason)
            case RollbackRequested(release=release, by=by):
                self.roll_back_to(release, by)
            case PinRequested(release=release, by=by):
                self.pin(release, by)
            case UnpinRequested():
                seen = "" if self.state.pinned_away == self.state.seen_commit else self.state.seen_commit
                self.state = replace(self.state, pinned=None, pinned_away="", seen_commit=seen)
            case FreezeRequested(until=until):
                self.state = replace(self.state, frozen=True, frozen_until=until)
            case ThawRequested():
                self.state = replace(self.state, frozen=False, frozen_until=None)
            case QuarantineLifted(release=release):
                self.trust(release)
            case ReleaseRetired(release=release):
                self.end_retirement(release)
            case ActionDone(action=key):
                self.action_ended(key, None)
            case ActionFailed(action=key, problem=problem):
                self.action_ended(key, problem)
            case _:
                pass

    def offered(self, offered: ReleaseOffered) -> None:
        offer = Offer(offered.release, offered.specification, offered.run, offered.commit, offered.subject)
        if offer.release in self.state.quarantined:
            self.refuse(offer)
            return
        policy = offered.specification.on_newer_change
        if policy == "queue":
            self.state = replace(self.state, waiting=(*self.state.waiting, offer))
            return
        for older in self.state.waiting:
            if older.release != offer.release:
                superseded = ReleaseSuperseded(older.release, offer.release)
                self.say(superseded, f"{short(older.release)} waited here, and {short(offer.release)} is newer")
        self.state = replace(self.state, waiting=(offer,))
        if policy == "cancel":
            self.abort_rollout(f"{short(offer.release)} is newer")

    def desired_committed(self, written: DesiredCommitted) -> None:
        committed = self.state.committing
        if committed is not None and committed.release == written.release:
            self.state = replace(
                self.state,
                desired=committed,
                desired_commit=written.commit,
                committing=None,
                writing=None,
                write_again_at=0.0,
                write_problem=None,
            )

    def abort_rollout(self, reason: str) -> None:
        if self.state.rollout is not None:
            abort = AbortRequested(by="trimtab", superseded=True)
            self.say(abort, reason, to=rollout_object(self.id, self.state.rollout))

    def action_ended(self, key: str, problem: Problem | None) -> None:
        if key == self.state.repairing:
            self.state = replace(self.state, repairing="")
        if problem is not None and key.startswith("desired"):
            problem = replace(problem, code="state-repository")
            self.state = replace(self.state, write_problem=problem, write_again_at=self.now + WRITE_AGAIN_S)
        if problem is not None and key.startswith("retire-"):
            # repair() finds what is still there; others that are being retired keep their time.
            for arm in self.state.retiring:
                if self.state.retires(arm, key):
                    self.end_retirement(arm)

    def rollout_ended(self, ended: RolloutEnded, reason: str) -> None:
        self.state = replace(self.state, rollout=None)
        if ended.outcome == "promoted":
            self.promoted(ended, reason)
            return
        self.retire(ended.release, delay_s=0.0)
        if self.state.pinned == ended.release:
            self.state = replace(self.state, pinned=self.state.live)
        if ended.proven_worse:
            self.quarantine(ended.release, reason)
        wanted = self.state.desired
        if wanted is None or wanted.release != ended.release:
            return  # Git says something else by now
        self.state = replace(self.state, failed=self.state.rollout_commit or self.state.desired_commit)
        if ended.outcome == "superseded" or self.state.committing is not None:
            return  # what follows is decided already
        if self.state.live is not None and self.state.specification is not None:
            stable = Offer(self.state.live, self.state.specification, wanted.run)
            words = {"rolled_back": "Roll back", "aborted": "Abort", "failed": "Give up on"}
            subject = f"{words.get(ended.outcome, 'Leave')} {short(ended.release)} in {self.id}"
            self.commit(stable, subject, reason, rollout=ended.number)

    def promoted(self, ended: RolloutEnded, reason: str) -> None:
        before, target = self.state.live, self.state.desired
        assert target is not None
        history = tuple(d for d in (before, *self.state.history) if d and d != ended.release)[:HISTORY]
        specification = target.specification if target.release == ended.release else self.state.specification
        self.state = replace(self.state, live=ended.release, history=history, specification=specification)
        took = duration(ended.duration_s)
        self.say(LiveChanged(ended.release, before), f"live {took} after its rollout began: {reason}")
        if before is not None and before != ended.release:
            self.retire(before, delay_s=self.scale_down_delay_s)
        self.offer_onwards(target, f"{self.id} runs it")

    def offer_onwards(self, offer: Offer, reason: str) -> None:
        after = offer.specification.after(self.id.name)
        if after is not None and offer.run is not None:
            onwards = ReleaseOffered(offer.release, offer.run, offer.specification, offer.commit, offer.subject)
            self.say(onwards, reason, to=EnvironmentId(self.id.app, after).object_id)

    def roll_back_to(self, release: Digest | None, by: str) -> None:
        trusted = [known for known in self.state.history if known not in self.state.quarantined]
        target, specification = release or (trusted[0] if trusted else None), self.state.specification
        if target is None or specification is None:
            problem = Problem("nothing-to-roll-back-to", f"{self.id} has run no other release yet", where=str(self.id))
            self.say(ProblemFound(problem), problem.message)
            return
        if self.state.pinned is not None and target != self.state.pinned:
            self.state = replace(self.state, pinned=target)
        self.move_by_hand(target, specification, f"Roll back {self.id} to {short(target)}", by)

    def move_by_hand(self, target: Digest, specification: Specification, subject: str, by: str) -> None:
        """A person wants the release, so it is trusted, whenever that is."""
        self.abort_rollout(f"{by} asked for {short(target)}")
        if target in self.state.quarantined:
            self.say(QuarantineLifted(target, by), f"{by} asked for it")
            self.trust(target)
        self.commit(Offer(target, specification), subject, f"{by} asked for it", actor=by)

    def pin(self, release: Digest | None, by: str) -> None:
        target, wanted, specification = release or self.state.live, self.state.desired, self.state.specification
        if target is None or specification is None:
            problem = Problem("nothing-to-pin", f"{self.id} runs no release yet", where=str(self.id))
            self.say(ProblemFound(problem), problem.message)
            return
        self.state = replace(self.state, pinned=target)
        if target != self.state.live or (wanted is not None and wanted.release != target):
            self.move_by_hand(target, specification, f"Pin {self.id} to {short(target)}", by)

    # --- trust ---

    def quarantine(self, release: Digest, reason: str) -> None:
        if release not in self.state.quarantined:
            self.say(ReleaseQuarantined(release), f"it is not deployed here again by itself: {reason}")
            self.state = replace(self.state, quarantined=(release, *self.state.quarantined)[:HISTORY])

    def trust(self, release: Digest) -> None:
        quarantined = tuple(digest for digest in self.state.quarantined if digest != release)
        self.state = replace(self.state, quarantined=quarantined)

    def refuse(self, offer: Offer) -> None:
        hint = "`trimtab quarantine lift` trusts it again, another change makes another release"
        why = f"{short(offer.release)} was proven worse in {self.id} and is in quarantine: {hint}"
        self.say(ReleaseRefused(offer.release), why)

    # --- Git ---

    def commit(self, offer: Offer, subject: str, why: str, *, rollout: int | None = None, actor: str = "") -> None:
        """Write to the state repository what should run; what is written is acted on when the write is confirmed."""
        trailers = {"Trimtab-Release": offer.release, "Trimtab-Reason": why}
        if offer.run is not None:
            trailers["Trimtab-Run"] = f"{self.id.app}/{offer.run}"
        if rollout is not None:
            trailers["Trimtab-Rollout"] = f"{self.id}/{rollout}"
        if actor:
            trailers["Trimtab-Actor"] = actor
        key = self.key("desired")
        commit = f"{self.id.object_id}#{key}"
        action = CommitDesired(self.id.app, self.id.name, offer.release, subject, why, trailers, commit)
        self.state = replace(self.state, committing=offer, writing=action, write_again_at=0.0)
        self.todo.append(Todo(key, action))

    def write_again(self) -> None:
        """A write that failed is tried until it is done: what was decided must not be lost."""
        action = self.state.writing
        if action is not None and 0 < self.state.write_again_at <= self.now:
            self.state = replace(self.state, write_again_at=0.0)
            self.todo.append(Todo(self.key("desired"), action))

    def compare_with_git(self) -> None:
        """Someone else changed the state repository: do what it says, or say why not."""
        seen = self.reading.desired
        if seen is None or self.state.committing is not None or seen.commit == self.state.seen_commit:
            return
        ours = seen.commit == self.state.desired_commit
        if not ours and self.state.pinned not in (None, seen.release):
            self.refuse_for_pin(seen)
            return
        self.state = replace(self.state, seen_commit=seen.commit, desired_commit=seen.commit)
        if ours:
            return
        if seen.problem is not None or seen.release is None or seen.specification is None:
            problem = seen.problem or Problem("desired-missing", f"commit {seen.commit[:8]} names no release")
            self.say(DesiredRefused(seen.commit, problem), f"{problem}; nothing was changed")
            self.state = replace(self.state, failed=seen.commit)
            return
        if seen.release in self.state.quarantined:
            self.say(QuarantineLifted(seen.release, seen.actor), f"{seen.actor} asked for it in Git")
            self.trust(seen.release)
        self.state = replace(self.state, desired=Offer(seen.release, seen.specification), waiting=())
        adopted = DesiredAdopted(seen.release, seen.commit, seen.actor, seen.specification)
        self.say(adopted, f"{seen.actor} changed Git ({seen.commit[:8]}): {seen.subject}")
        self.abort_rollout(f"{seen.actor} changed what should run ({seen.commit[:8]})")

    def refuse_for_pin(self, seen: DesiredReading) -> None:
        pinned = f"{self.id} is pinned to {short(self.state.pinned or '')}"
        problem = Problem("pinned", pinned, "`trimtab unpin` lets Git have its way", f"commit {seen.commit[:8]}")
        self.say(DesiredRefused(seen.commit, problem), f"{problem}; nothing was changed")
        self.state = replace(self.state, seen_commit=seen.commit, pinned_away=seen.commit)

    # --- moving ---

    def start_what_is_due(self) -> None:
        if self.busy:
            return
        wanted = self.state.desired
        if wanted is not None and wanted.release != self.state.live and self.state.failed != self.state.desired_commit:
            self.start_rollout(wanted)
        elif self.may_begin():
            self.take(self.state.waiting[0])

    def may_begin(self) -> bool:
        """Whether something waits and nothing holds it; says once what does, and once that it does not any more."""
        if self.state.frozen_until is not None and self.now >= self.state.frozen_until:
            self.state = replace(self.state, frozen=False, frozen_until=None)
        for offer in [offer for offer in self.state.waiting if offer.release in self.state.quarantined]:
            self.refuse(offer)
            self.state = replace(self.state, waiting=tuple(o for o in self.state.waiting if o is not offer))
        found = hold(self.state, self.reading, self.now) if self.state.waiting else None
        if found is not None and not found.reason:
            return False
        if found is not None and found.cause != self.state.held:
            self.say(DeliveryHeld(found.cause, found.until), found.reason)
        elif found is None and self.state.held is not None:
            self.say(DeliveryResumed(), "what waits may go on")
        self.state = replace(self.state, held=found.cause if found else None)
        return bool(self.state.waiting) and found is None

    def count_budget(self) -> None:
        place = self.state.place
        if place is not None and place.budget is not None:
            # What waits is decided about by the newest numbers.
            waits = bool(self.state.waiting)
            spending = count(self.state.spending, place.budget, self.counted(), self.now, at_once=waits)
            self.state = replace(self.state, spending=spending)

    def counted(self) -> Mapping[ArmId, ArmCounts]:
        """What users saw: the answers of a candidate that only gets copies are nobody's."""
        traffic = self.reading.traffic
        shadow = traffic.candidate if traffic.mirror is not None and traffic.share.candidate_pct == 0 else None
        return {name: counts for name, counts in self.reading.counts.items() if name != shadow}

    def take(self, offer: Offer) -> None:
        self.state = replace(self.state, waiting=self.state.waiting[1:])
        if offer.release == self.state.live:
            self.offer_onwards(offer, f"{self.id} runs it already")
            if self.state.desired is not None and self.state.desired.release != offer.release:
                # The rollout of what Git says was stopped for this one.
                self.commit(offer, f"Keep {short(offer.release)} in {self.id}", f"run {offer.run} brought it again")
            return
        subject = f"Promote {short(offer.release)} to {self.id}"
        self.commit(offer, subject, f"run {offer.run} passed: {offer.subject}")

    def start_rollout(self, wanted: Offer) -> None:
        number, before = self.state.next_rollout, self.state.live
        place = wanted.specification.environment(self.id.name)
        window = place.strategy.rollback_window if place else 0
        known = wanted.release in self.state.history[:window]
        seen = self.reading.desired
        if seen is not None and seen.release == wanted.release and seen.specification is not None:
            # A release brings its own settings: a return to an older one returns to those too.
            wanted = replace(wanted, specification=seen.specification)
        self.state = replace(self.state, desired=wanted)
        request = RolloutRequested(number, wanted.release, before, wanted.specification, known, wanted.run)
        why = self.why_wanted(wanted)
        if known:
            why += ", which ran here before, so it returns at once"
        self.say(request, why, to=rollout_object(self.id, number))
        self.end_retirement(wanted.release)  # if its instances are just being stopped, they are wanted again
        commit = self.state.desired_commit
        self.state = replace(self.state, rollout=number, rollout_commit=commit, next_rollout=number + 1)

    def why_wanted(self, wanted: Offer) -> str:
        return f"Git says {short(wanted.release)} ({self.state.desired_commit[:8]})"

    @property
    def scale_down_delay_s(self) -> float:
        place = self.state.place
        return place.strategy.scale_down_delay_s if place else 0.0

    def retire(self, release: ArmId, delay_s: float) -> None:
        wanted = self.state.desired
        specification = self.state.specification or (wanted.specification if wanted else None)
        if release in self.state.retiring or specification is None:
            return
        service = specification.service
        key = self.key(f"retire-{short(release)}")
        self.state = replace(
            self.state,
            retiring=(*self.state.retiring, release),
            retirements={**self.state.retirements, release: key},
        )
        action = RetireRelease(
            self.id.app, self.id.name, release, service.drain_timeout_s, service.stop_timeout_s, delay_s
        )
        self.todo.append(Todo(key, action))

    def end_retirement(self, arm: ArmId) -> None:
        """It was stopped, could not be, or is wanted again."""
        retiring = tuple(other for other in self.state.retiring if other != arm)
        retirements = {other: key for other, key in self.state.retirements.items() if other != arm}
        self.state = replace(self.state, retiring=retiring, retirements=retirements)

    # --- repairing ---

    def repair(self) -> None:
        if self.busy or self.state.live is None or self.state.repairing or self.emit:
            return  # nothing to compare with, or something is on its way already
        found = upkeep.repair(self.state, self.reading)
        if found is not None:
            key = self.key(f"repair-{found[0]}")
            self.state = replace(self.state, repairing=key)
            self.todo.append(Todo(key, found[1]))
        for arm in sorted(upkeep.leftovers(self.state, self.reading)):
            # What was live may have been on its way out, and keeps its whole delay: nobody knows any more since when.
            self.retire(arm, delay_s=self.scale_down_delay_s if arm in self.state.history else 0.0)

    def note_problems(self) -> None:
        now = upkeep.problems(self.state, self.reading)
        before = {problem.code: problem for problem in self.state.problems}
        for code, problem in now.items():
            if before.get(code) != problem:
                self.say(ProblemFound(problem), str(problem))
        for code in sorted(before.keys() - now.keys()):
            self.say(ProblemCleared(code), "it is gone")
        self.state = replace(self.state, problems=tuple(now.values()))
