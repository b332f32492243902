"""The environment: makes live what Git says should run, and says so in Git when something else has to run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trimtab.core.errors import Problem
from trimtab.core.model.actions import ApplyRoute, CommitDesired, RetireRelease, StartInstances
from trimtab.core.model.decision import Decision, Emit, Todo
from trimtab.core.model.facts import (
    AbortRequested,
    ActionDone,
    ActionFailed,
    DesiredAdopted,
    DesiredCommitted,
    DesiredRefused,
    Fact,
    LiveChanged,
    ProblemCleared,
    ProblemFound,
    Recorded,
    ReleaseOffered,
    ReleaseRetired,
    ReleaseSuperseded,
    RollbackRequested,
    RolloutEnded,
    RolloutRequested,
)
from trimtab.core.model.identity import Digest, EnvironmentId, ObjectId, rollout_object, short
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Instance, TrafficReading
from trimtab.core.say import duration

IDLE_S = 2.0
"""How often an environment compares live with desired when nothing wakes it earlier."""
HISTORY = 10
"""How many releases that were live are remembered: those can be returned to at once."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A release on its way into the environment, and why."""

    release: Digest
    specification: Specification
    run: int | None = None
    commit: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class DesiredReading:
    """What the state repository says now, and whether it can be done."""

    commit: str
    release: Digest | None = None
    actor: str = ""
    subject: str = ""
    specification: Specification | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentReading:
    """The world as the environment sees it now."""

    desired: DesiredReading | None = None
    traffic: TrafficReading = field(default_factory=TrafficReading)
    instances: tuple[Instance, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    environment: EnvironmentId
    live: Digest | None = None
    specification: Specification | None = None
    """The live release's."""
    history: tuple[Digest, ...] = ()
    """Releases that were live before, newest first, without the live one."""
    desired: Offer | None = None
    desired_commit: str = ""
    """The commit by which `desired` was decided: ours, or somebody's that was taken over or refused."""
    seen_commit: str = ""
    """The newest commit of the environment's file that was looked at. Differs from `desired_commit` when ours changed
    nothing, since the release it asked for stood there already."""
    waiting: tuple[Offer, ...] = ()
    committing: Offer | None = None
    """Being written to the state repository."""
    rollout: int | None = None
    next_rollout: int = 1
    failed: str = ""
    """The commit whose rollout ended without being promoted: not tried again by itself."""
    retiring: tuple[Digest, ...] = ()
    repairing: str = ""
    """The key of a repair that is under way."""
    keys: int = 0
    """Numbers the actions, so that each has a key of its own."""
    problems: tuple[Problem, ...] = ()


def decide_environment(
    state: EnvironmentState, facts: tuple[Recorded, ...], reading: EnvironmentReading, now: float
) -> Decision[EnvironmentState]:
    """The next move of an environment, with its reason."""
    work = _Work(state, reading)
    for recorded in facts:
        work.see(recorded)
    work.compare_with_git()
    work.start_what_is_due()
    work.repair()
    work.note_problems()
    return Decision(work.state, tuple(work.todo), tuple(work.emit), look_at=now + IDLE_S)


class _Work:
    """One decision in the making. Local to the call: nothing outlives it."""

    def __init__(self, state: EnvironmentState, reading: EnvironmentReading) -> None:
        self.state, self.reading = state, reading
        self.todo: list[Todo] = []
        self.emit: list[Emit] = []

    @property
    def id(self) -> EnvironmentId:
        return self.state.environment

    @property
    def busy(self) -> bool:
        return self.state.rollout is not None or self.state.committing is not None

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
            case ReleaseRetired(release=release):
                retiring = tuple(digest for digest in self.state.retiring if digest != release)
                self.state = replace(self.state, retiring=retiring)
            case ActionDone(action=key):
                self.action_ended(key, None)
            case ActionFailed(action=key, problem=problem):
                self.action_ended(key, problem)
            case _:
                pass

    def offered(self, offered: ReleaseOffered) -> None:
        offer = Offer(offered.release, offered.specification, offered.run, offered.commit, offered.subject)
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
            self.state = replace(self.state, desired=committed, desired_commit=written.commit, committing=None)

    def abort_rollout(self, reason: str) -> None:
        if self.state.rollout is not None:
            abort = AbortRequested(by="trimtab", superseded=True)
            self.say(abort, reason, to=rollout_object(self.id, self.state.rollout))

    def action_ended(self, key: str, problem: Problem | None) -> None:
        if key == self.state.repairing:
            self.state = replace(self.state, repairing="")
        if problem is not None and key.startswith("desired"):
            self.state = replace(self.state, committing=None)
            self.say(ProblemFound(problem), "the state repository could not be written")
        if problem is not None and key.startswith("retire"):
            self.state = replace(self.state, retiring=())  # repair() finds what is still there

    def rollout_ended(self, ended: RolloutEnded, reason: str) -> None:
        self.state = replace(self.state, rollout=None)
        if ended.outcome == "promoted":
            self.promoted(ended, reason)
            return
        self.retire(ended.release)
        wanted = self.state.desired
        if wanted is None or wanted.release != ended.release:
            return  # Git says something else by now
        self.state = replace(self.state, failed=self.state.desired_commit)
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
            self.retire(before)
        self.offer_onwards(target, f"{self.id} runs it")

    def offer_onwards(self, offer: Offer, reason: str) -> None:
        after = offer.specification.after(self.id.name)
        if after is not None and offer.run is not None:
            onwards = ReleaseOffered(offer.release, offer.run, offer.specification, offer.commit, offer.subject)
            self.say(onwards, reason, to=EnvironmentId(self.id.app, after).object_id)

    def roll_back_to(self, release: Digest | None, by: str) -> None:
        target = release or (self.state.history[0] if self.state.history else None)
        if target is None or self.state.specification is None:
            problem = Problem("nothing-to-roll-back-to", f"{self.id} has run no other release yet", where=str(self.id))
            self.say(ProblemFound(problem), problem.message)
            return
        self.abort_rollout(f"{by} asked for {short(target)}")
        offer = Offer(target, self.state.specification)
        self.commit(offer, f"Roll back {self.id} to {short(target)}", f"{by} asked for it", actor=by)

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
        self.state = replace(self.state, committing=offer)
        action = CommitDesired(self.id.app, self.id.name, offer.release, subject, why, trailers)
        self.todo.append(Todo(self.key("desired"), action))

    def compare_with_git(self) -> None:
        """Someone else changed the state repository: do what it says, or say why not."""
        seen = self.reading.desired
        if seen is None or self.state.committing is not None or seen.commit == self.state.seen_commit:
            return
        ours = seen.commit == self.state.desired_commit
        self.state = replace(self.state, seen_commit=seen.commit, desired_commit=seen.commit)
        if ours:
            return
        if seen.problem is not None or seen.release is None or seen.specification is None:
            problem = seen.problem or Problem("desired-missing", f"commit {seen.commit[:8]} names no release")
            self.say(DesiredRefused(seen.commit, problem), f"{problem}; nothing was changed")
            self.state = replace(self.state, failed=seen.commit)
            return
        self.state = replace(self.state, desired=Offer(seen.release, seen.specification), waiting=())
        adopted = DesiredAdopted(seen.release, seen.commit, seen.actor, seen.specification)
        self.say(adopted, f"{seen.actor} changed Git ({seen.commit[:8]}): {seen.subject}")
        self.abort_rollout(f"{seen.actor} changed what should run ({seen.commit[:8]})")

    # --- moving ---

    def start_what_is_due(self) -> None:
        if self.busy:
            return
        wanted = self.state.desired
        if wanted is not None and wanted.release != self.state.live and self.state.failed != self.state.desired_commit:
            self.start_rollout(wanted)
        elif self.state.waiting:
            self.take(self.state.waiting[0])

    def take(self, offer: Offer) -> None:
        self.state = replace(self.state, waiting=self.state.waiting[1:])
        if offer.release == self.state.live:
            self.offer_onwards(offer, f"{self.id} runs it already")
            return
        subject = f"Promote {short(offer.release)} to {self.id}"
        self.commit(offer, subject, f"run {offer.run} passed: {offer.subject}")

    def start_rollout(self, wanted: Offer) -> None:
        number, before = self.state.next_rollout, self.state.live
        known = wanted.release in self.state.history
        seen = self.reading.desired
        if seen is not None and seen.release == wanted.release and seen.specification is not None:
            # A release brings its own settings: a return to an older one returns to those too.
            wanted = replace(wanted, specification=seen.specification)
        self.state = replace(self.state, desired=wanted)
        request = RolloutRequested(number, wanted.release, before, wanted.specification, known, wanted.run)
        why = f"Git says {short(wanted.release)} ({self.state.desired_commit[:8]})"
        if known:
            why += ", which ran here before, so it returns at once"
        self.say(request, why, to=rollout_object(self.id, number))
        # If its instances are just being stopped, they are wanted again.
        retiring = tuple(digest for digest in self.state.retiring if digest != wanted.release)
        self.state = replace(self.state, rollout=number, next_rollout=number + 1, retiring=retiring)

    def retire(self, release: Digest) -> None:
        wanted = self.state.desired
        specification = self.state.specification or (wanted.specification if wanted else None)
        if release in self.state.retiring or specification is None:
            return
        service = specification.service
        self.state = replace(self.state, retiring=(*self.state.retiring, release))
        action = RetireRelease(self.id.app, self.id.name, release, service.drain_timeout_s, service.stop_timeout_s)
        self.todo.append(Todo(self.key("retire"), action))

    # --- repairing ---

    def repair(self) -> None:
        """Without a rollout: the live release's instances run, the gateway routes to them, and nothing else is left."""
        live, specification = self.state.live, self.state.specification
        if self.busy or live is None or specification is None or self.state.repairing or self.emit:
            return  # nothing to compare with, or something is on its way already
        place = specification.environment(self.id.name)
        if place is None:
            return
        replicas = place.replicas or specification.service.replicas
        mine = [instance for instance in self.reading.instances if instance.release == live]
        if len(mine) < replicas or any(instance.phase in ("stopped", "failed") for instance in mine):
            start = StartInstances(self.id.app, self.id.name, live, replicas, specification)
            self.repairing("instances", start)
        elif any(instance.phase == "ready" for instance in mine) and not self.routed_to(mine):
            route = ApplyRoute(self.id.app, self.id.name, live, None, None, specification)
            self.repairing("route", route)
        for release in {instance.release for instance in self.reading.instances} - {live}:
            self.retire(release)

    def repairing(self, what: str, action: StartInstances | ApplyRoute) -> None:
        key = self.key(f"repair-{what}")
        self.state = replace(self.state, repairing=key)
        self.todo.append(Todo(key, action))

    def routed_to(self, mine: list[Instance]) -> bool:
        traffic = self.reading.traffic
        if traffic.problem is not None:
            return True  # the gateway does not answer: its own supervisor brings it back
        endpoints = set(traffic.endpoints.get(self.state.live or "", ()))
        return traffic.stable == self.state.live and endpoints == {instance.endpoint for instance in mine}

    def note_problems(self) -> None:
        now = self.problems_now()
        before = {problem.code: problem for problem in self.state.problems}
        for code, problem in now.items():
            if before.get(code) != problem:
                self.say(ProblemFound(problem), str(problem))
        for code in before.keys() - now.keys():
            self.say(ProblemCleared(code), "it is gone")
        self.state = replace(self.state, problems=tuple(now.values()))

    def problems_now(self) -> dict[str, Problem]:
        found: dict[str, Problem] = {}
        if self.reading.traffic.problem is not None:
            found["gateway"] = replace(self.reading.traffic.problem, code="gateway")
        down = [
            instance
            for instance in self.reading.instances
            if instance.release == self.state.live and instance.phase not in ("ready", "starting")
        ]
        if down:
            worst = down[0]
            why = worst.problem.message if worst.problem else f"it is {worst.phase}"
            found["instance"] = Problem("instance", f"instance {worst.id} does not serve: {why}", where=str(self.id))
        return found
