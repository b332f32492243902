"""Who sees everything: keeps the books that the promises are checked against, and checks them at every event."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.rollout import RolloutState
from trimtab.core.model.decision import Decision
from trimtab.core.model.facts import (
    EvidenceCounted,
    LiveChanged,
    Recorded,
    ReleaseCut,
    RolloutEnded,
    RolloutRequested,
    WeightLost,
    WeightVerified,
)
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, ObjectId, kind_of, parse_environment
from trimtab.core.model.strategy import RolloutStep, Segment
from trimtab.core.model.traffic import Share
from trimtab.ports.clock import Clock
from trimtab.ports.store import Claim
from trimtab.ports.traffic import LEASE_TTL_S
from trimtab.testing.sim import promises
from trimtab.testing.sim.history import History
from trimtab.testing.sim.truth import (
    TrueArtifacts,
    TrueGateway,
    TrueProcesses,
    TrueRuntime,
    TrueStateRepository,
    TrueStore,
)

_DULL = (EvidenceCounted,)
"""Facts that come too often to be lines of the history."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What a rollout may have of the traffic, and who may take part."""

    rollout: ObjectId
    segments: tuple[Segment, ...]
    share: Share

    def allows(self, rollout: ObjectId, segments: tuple[Segment, ...], share: Share) -> bool:
        if rollout != self.rollout or segments != self.segments:
            return False
        others = all(pct <= self.share.others_pct.get(arm, 0.0) + 0.011 for arm, pct in share.others_pct.items())
        return others and share.candidate_pct <= self.share.candidate_pct + 0.011


@dataclass(slots=True)
class StepBook:
    """What is known of a rollout's steps: requests truly served while a step's share was truly held."""

    held: Counter[int] = field(default_factory=Counter)
    at_claim: Counter[int] = field(default_factory=Counter)
    """As it was when the newest decision began to look at the world."""
    verified: dict[int, int] = field(default_factory=dict)
    """By step: `held` when the share was found to be in force; absent while it is not."""
    worse_stable: bool = False
    """Whether requests to the stable release failed meanwhile: then nobody can say that the candidate is worse."""


class Sight:
    """The witness of one simulation. `certain_clocks`: whether the controllers' clocks can be relied on."""

    def __init__(self, clock: Clock, history: History) -> None:
        self.clock, self.history = clock, history
        self.certain_clocks = True
        self.natures: dict[Digest, str] = {}
        self.nature_of_commit: dict[str, str] = {}
        self.environments: dict[EnvironmentId, EnvironmentState] = {}
        self.rollouts: dict[ObjectId, RolloutState] = {}
        self.facts: dict[ObjectId, list[Recorded]] = defaultdict(list)
        self.ended: dict[ObjectId, RolloutEnded] = {}
        self.left_live: dict[tuple[EnvironmentId, ArmId], float] = {}
        self.books: dict[ObjectId, StepBook] = defaultdict(StepBook)
        self.highest_fence: dict[str, int] = {}
        self.permits: dict[ObjectId, tuple[Permit, ...]] = {}
        self.past_permits: dict[ObjectId, list[Permit]] = defaultdict(list)
        self.fading: list[tuple[float, Permit]] = []
        self.store: TrueStore
        self.gateway: TrueGateway
        self.runtime: TrueRuntime
        self.state_repository: TrueStateRepository
        self.processes: TrueProcesses
        self.artifacts: TrueArtifacts

    def check(self, promise: Callable[..., Iterator[str]], *about: Any) -> None:
        for how in promise(self, *about):
            self.history.breaks(f"{promise.__name__}: {promise.__doc__}", how)

    # --- what the store tells ---

    def recorded(self, fact: Recorded) -> None:
        if not isinstance(fact.fact, _DULL):
            self.history.note(fact.object, f"{fact.kind} {_gist(fact)}")
        self.facts[fact.object].append(fact)
        self._book(fact)
        self.check(promises.steps_pass_on_their_own_evidence, fact)
        self.check(promises.an_alarm_is_never_lost, fact)

    def _book(self, recorded: Recorded) -> None:
        place, fact = recorded.object, recorded.fact
        if isinstance(fact, ReleaseCut):
            self.natures.setdefault(fact.release, self.nature_of_commit.get(fact.commit, "good"))
        elif isinstance(fact, LiveChanged) and fact.previous is not None:
            self.left_live[parse_environment(place), fact.previous] = self.clock.now()
        elif isinstance(fact, WeightVerified):
            book = self.books[place]
            book.verified[fact.index] = book.at_claim[fact.index]
        elif isinstance(fact, WeightLost):
            self.books[place].verified.pop(fact.index, None)
        elif isinstance(fact, RolloutEnded) and kind_of(place) == "rollout":
            self.ended[place] = fact
            self.history.coverage[f"rollout: {fact.outcome}"] += 1
        elif isinstance(fact, RolloutRequested):
            self.history.coverage["rollout: instant" if fact.instant else "rollout: requested"] += 1

    def claimed(self, claim: Claim) -> None:
        self.highest_fence[claim.object] = claim.fence
        if kind_of(claim.object) == "rollout":
            book = self.books[claim.object]
            book.at_claim = Counter(book.held)

    def stored(self, what: str, place: ObjectId, fence: int) -> None:
        self.check(promises.stale_fences_change_nothing, what, place, fence, self.highest_fence.get(place, 0))

    def decided(self, decision: Decision[Any]) -> None:
        """A decision was stored; it has not been acted on yet."""
        state = decision.state
        if isinstance(state, EnvironmentState):
            self.environments[state.environment] = state
        elif isinstance(state, RolloutState) and state.release:
            before = self.permits.get(state.id, ())
            now = permitted(state, before)
            self.rollouts[state.id] = state
            if now != before:
                until = self.clock.now() + LEASE_TTL_S
                self.fading += [(until, permit) for permit in before]
                self.permits[state.id] = now
                self.past_permits[state.id] += [permit for permit in now if permit not in self.past_permits[state.id]]
            if decision.lease is not None:
                self.check(promises.nothing_is_granted_beyond_the_step, state, decision.lease.share)

    # --- what the world tells ---

    def instructed(self, what: str, environment: EnvironmentId, fence: int) -> None:
        place = f"gateway {environment}"
        self.check(promises.stale_fences_change_nothing, what, place, fence, self.highest_fence.get(place, 0))
        self.highest_fence[place] = max(fence, self.highest_fence.get(place, 0))
        if what == "share":
            self._late_share(environment)

    def _late_share(self, environment: EnvironmentId) -> None:
        """A share that was right when it was sent holds until its lease runs out, if nobody newer was heard."""
        share, route = self.gateway.share(environment), self.gateway.route(environment)
        if share.total_pct and route is not None and route.lease is not None:
            rollout = route.lease.rpartition("/")[0]
            late = [p for p in self.past_permits[rollout] if p.allows(rollout, route.segments, share)]
            self.fading += [(self.clock.now() + LEASE_TTL_S, permit) for permit in late[:1]]

    def moved(self, environment: EnvironmentId) -> None:
        self.check(promises.nobody_gets_more_than_the_step_allows, environment)
        self.check(promises.what_gets_traffic_was_not_stopped, environment)

    def stopping(self, environment: EnvironmentId, arm: ArmId, keep: int) -> None:
        self.history.note("runtime", f"stops {arm[7:15]} in {environment}, all but {keep}")
        self.check(promises.what_may_be_needed_is_not_stopped, environment, arm, keep)

    def written(self, trailers: Mapping[str, str], files: Mapping[str, bytes | None]) -> None:
        self.history.note("state repository", trailers["subject"])
        self.check(promises.git_is_not_told_to_deploy_what_was_proven_worse, trailers, files)

    def look(self) -> None:
        """At every moment's end."""
        now = self.clock.now()
        self.fading = [(until, permit) for until, permit in self.fading if until >= now]
        for environment in self.environments:
            self.moved(environment)

    def serving(self, environment: EnvironmentId, requests: Mapping[ArmId, int], failures: Mapping[ArmId, int]) -> None:
        """A moment's requests came to the arms."""
        route, share = self.gateway.route(environment), self.gateway.share(environment)
        if route is None or route.lease is None:
            return
        rollout = route.lease.rpartition("/")[0]
        state = self.rollouts.get(rollout)
        if state is None:
            return
        book = self.books[rollout]
        book.worse_stable |= bool(failures.get(route.stable.arm))
        step = state.current
        if step is not None and route.segments == step.segments and share.is_close_to(whole_share(state, step)):
            book.held[state.step] += requests.get(state.release, 0)

    def under_way(self, environment: EnvironmentId) -> list[RolloutState]:
        return [s for s in self.rollouts.values() if s.environment == environment and s.phase != "ended"]


def whole_share(state: RolloutState, step: RolloutStep) -> Share:
    """What the step grants, read from the specification anew: the code under test is not asked."""
    mirror_pct = step.mirror.share_pct if step.mirror is not None else 0.0
    if step.experiment is None:
        return Share(step.weight_pct, {}, mirror_pct)
    each = step.experiment.weight_pct
    names = [f"{state.release}@{variant.name}" for variant in step.experiment.variants]
    return Share(each, {**dict.fromkeys(names, each), f"{state.stable}@baseline": each}, mirror_pct)


def permitted(state: RolloutState, before: tuple[Permit, ...]) -> tuple[Permit, ...]:
    """What the stored state allows: the share of the step it is in, or of the one before on the way to the next.
    `before`: what was allowed until now."""
    if not state.steps or state.phase in ("returning", "ended", "gathering"):
        return ()
    if state.step >= len(state.steps):
        # Everything is decided. Only a ramp goes beyond what was in force when it was.
        ramps = state.ramps_out and state.phase in ("ramping", "promoting")
        return (Permit(state.id, (), Share(100.0)),) if ramps else before
    if state.phase in ("shifting", "observing"):
        step = state.steps[state.step]
        return (Permit(state.id, step.segments, whole_share(state, step)),)
    if state.step == 0:
        return ()
    step = state.steps[state.step - 1]
    return (Permit(state.id, step.segments, whole_share(state, step)),)


def _gist(recorded: Recorded) -> str:
    """The reason, or what is short enough of the fact itself."""
    if recorded.reason:
        return recorded.reason
    fact = recorded.fact
    values = [getattr(fact, name) for name in getattr(fact, "__slots__", ())]
    return " ".join(str(value)[:60] for value in values if isinstance(value, (str, int, float)))[:160]
