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
    AbortRequested,
    EvidenceCounted,
    LiveChanged,
    QuarantineLifted,
    Recorded,
    ReleaseCut,
    RolloutEnded,
    RolloutRequested,
    StepEntered,
    WeightLost,
    WeightVerified,
)
from trimtab.core.model.identity import (
    BASELINE,
    ArmId,
    Digest,
    EnvironmentId,
    ObjectId,
    arm,
    kind_of,
    parse_environment,
)
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
    entered: int | None = None
    """The step that was entered last."""
    told_to_abort: bool = False
    """Whether a decision has seen that the rollout is to be aborted."""
    truly_held: dict[int, float] = field(default_factory=dict)
    """By step: when its share was truly in force, as far as anybody looked."""
    claimed_at: float = 0.0
    worse_stable: bool = False
    """Whether requests to the stable release, or to fresh instances of it, failed meanwhile: then nobody can say that
    the candidate is worse."""


class Sight:
    """The witness of one simulation. `certain_clocks`: whether the controllers' clocks can be relied on."""

    def __init__(self, clock: Clock, history: History) -> None:
        self.clock, self.history = clock, history
        self.certain_clocks = True
        self.natures: dict[Digest, str] = {}
        self.nature_of_commit: dict[str, str] = {}
        self.heads: dict[str, str] = {}
        """The newest commit of each application, announced or not."""
        self.environments: dict[EnvironmentId, EnvironmentState] = {}
        self.rollouts: dict[ObjectId, RolloutState] = {}
        self.facts: dict[ObjectId, list[Recorded]] = defaultdict(list)
        self.ended: dict[ObjectId, RolloutEnded] = {}
        self.proven_worse: set[tuple[EnvironmentId, Digest]] = set()
        self.granted_at: dict[EnvironmentId, float] = {}
        """When the gateway was last told a share."""
        self.needed_until: dict[tuple[EnvironmentId, ArmId], float] = {}
        """Releases that were live, and until when a return to them has to be instant."""
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
        self.check(promises.a_share_counts_only_when_it_is_held, fact)
        self.check(promises.an_alarm_is_never_lost, fact)
        self.check(promises.an_abort_is_heeded, fact)

    def _book(self, recorded: Recorded) -> None:
        place, fact = recorded.object, recorded.fact
        if isinstance(fact, ReleaseCut):
            self.natures.setdefault(fact.release, self.nature_of_commit.get(fact.commit, "good"))
        elif isinstance(fact, LiveChanged) and fact.previous is not None:
            environment = parse_environment(place)
            delay_s = min(self._delay_s(environment, release) for release in (fact.release, fact.previous))
            self.needed_until[environment, fact.previous] = self.clock.now() + delay_s
        elif isinstance(fact, WeightVerified):
            book = self.books[place]
            book.verified[fact.index] = book.at_claim[fact.index]
        elif isinstance(fact, StepEntered):
            self.books[place].entered = fact.index
        elif isinstance(fact, QuarantineLifted):
            self.proven_worse.discard((parse_environment(place), fact.release))
        elif isinstance(fact, WeightLost):
            self.books[place].verified.pop(fact.index, None)
        elif isinstance(fact, RolloutEnded) and kind_of(place) == "rollout":
            self.ended[place] = fact
            self.history.coverage[f"rollout: {fact.outcome}"] += 1
            if fact.proven_worse:
                self.proven_worse.add((self.rollouts[place].environment, fact.release))
        elif isinstance(fact, RolloutRequested):
            self.history.coverage["rollout: instant" if fact.instant else "rollout: requested"] += 1

    def _delay_s(self, environment: EnvironmentId, release: Digest) -> float:
        place = self.artifacts.specification_of(release).environment(environment.name)
        return place.strategy.scale_down_delay_s if place is not None else 0.0

    def claimed(self, claim: Claim) -> None:
        self.highest_fence[claim.object] = claim.fence
        if kind_of(claim.object) == "rollout":
            book = self.books[claim.object]
            book.at_claim, book.claimed_at = Counter(book.held), self.clock.now()
            book.told_to_abort |= any(isinstance(recorded.fact, AbortRequested) for recorded in claim.facts)

    def stored(self, what: str, place: ObjectId, fence: int) -> None:
        self.check(promises.stale_fences_change_nothing, what, place, fence, self.highest_fence.get(place, 0))

    def decided(self, decision: Decision[Any]) -> None:
        """A decision was stored; it has not been acted on yet."""
        state = decision.state
        if isinstance(state, EnvironmentState):
            self.environments[state.environment] = state
        elif isinstance(state, RolloutState) and state.release:
            before = self.permits.get(state.id, ())
            now = permitted(state, self.books[state.id].entered)
            self.rollouts[state.id] = state
            if now != before:
                until = self.clock.now() + LEASE_TTL_S
                self.fading += [(until, permit) for permit in before]
                self.permits[state.id] = now
                self.past_permits[state.id] += [permit for permit in now if permit not in self.past_permits[state.id]]
            if decision.lease is not None:
                self.check(promises.nothing_is_granted_beyond_the_step, state, decision.lease.share)

    # --- what the world tells ---

    def led(self, fence: int) -> None:
        self.check(promises.stale_fences_change_nothing, "lead", "gateway", fence, self.highest_fence.get("gateway", 0))
        self.highest_fence["gateway"] = fence

    def instructed(self, what: str, environment: EnvironmentId, fence: int) -> None:
        place = f"gateway {environment}"
        newest = max(self.highest_fence.get(place, 0), self.highest_fence.get("gateway", 0))
        self.check(promises.stale_fences_change_nothing, what, place, fence, newest)
        self.highest_fence[place] = max(fence, self.highest_fence.get(place, 0))
        if what == "share":
            self.granted_at[environment] = self.clock.now()
            self._late_share(environment)

    def ran(self, what: str, environment: EnvironmentId, fence: int) -> None:
        place = f"runtime {environment}"
        self.check(promises.stale_fences_change_nothing, what, place, fence, self.highest_fence.get(place, 0))
        self.highest_fence[place] = max(fence, self.highest_fence.get(place, 0))

    def _late_share(self, environment: EnvironmentId) -> None:
        """A share that was right when it was sent holds until its lease runs out, if nobody newer was heard."""
        share, route = self.gateway.share(environment), self.gateway.route(environment)
        if share.total_pct and route is not None and route.lease is not None:
            rollout = route.lease.rpartition("/")[0]
            late = [p for p in self.past_permits[rollout] if p.allows(rollout, route.segments, share)]
            self.fading += [(self.clock.now() + LEASE_TTL_S, permit) for permit in late[:1]]

    def moved(self, environment: EnvironmentId) -> None:
        state = self._routed(environment)
        if state is not None and self._holds(state):
            self.books[state.id].truly_held[state.step] = self.clock.now()
        self.check(promises.a_share_runs_out_when_nobody_renews_it, environment)
        self.check(promises.nobody_gets_more_than_the_step_allows, environment)
        self.check(promises.what_gets_traffic_was_not_stopped, environment)

    def stopped(self, environment: EnvironmentId, arm: ArmId, keep: int) -> None:
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
        state = self._routed(environment)
        if state is not None:
            book = self.books[state.id]
            stable = state.stable or ""
            book.worse_stable |= bool(failures.get(stable) or failures.get(arm(stable, BASELINE)))
            if self._holds(state):
                book.held[state.step] += requests.get(state.release, 0)

    def _routed(self, environment: EnvironmentId) -> RolloutState | None:
        """The rollout that the route of the environment is about."""
        route = self.gateway.route(environment)
        return None if route is None or route.lease is None else self.rollouts.get(route.lease.rpartition("/")[0])

    def _holds(self, state: RolloutState) -> bool:
        """Whether the current step's share is truly in force, for those that it is meant for."""
        step, route = state.current, self.gateway.route(state.environment)
        if step is None or route is None or route.segments != step.segments:
            return False
        return self.gateway.share(state.environment).is_close_to(whole_share(state, step))

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


def permitted(state: RolloutState, entered: int | None) -> tuple[Permit, ...]:
    """What the stored state allows: the share of the step it is in, or of the one before on the way to the next.
    `entered`: the step that was entered last."""
    if not state.steps or state.phase in ("returning", "ended", "gathering"):
        return ()
    if state.step >= len(state.steps):
        # Everything is decided. Only a ramp goes beyond what was in force when it was.
        ramps = state.ramps_out and state.phase in ("ramping", "promoting")
        last = None if entered is None else state.steps[entered]
        share = Share(100.0) if ramps or last is None else whole_share(state, last)
        return () if last is None else (Permit(state.id, () if ramps else last.segments, share),)
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
