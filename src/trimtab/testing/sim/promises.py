"""Safety, in words: what no installation ever does, whatever befalls it. Each function says how its promise is broken.

They read what is true (the gateway's shares, the instances, the requests) and what was stored; the code that decides
is not asked what it thinks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from trimtab.core.decide.rollout import RolloutState
from trimtab.core.model.desired import environment_of, parse_desired
from trimtab.core.model.facts import (
    AbortRequested,
    ActionDone,
    ChangeArrived,
    ChangeSuperseded,
    GateEnded,
    PromoteRequested,
    Recorded,
    RolloutEnded,
    RolloutRequested,
    RunFinished,
    RunRequested,
    StepEntered,
    VerdictReached,
    WeightVerified,
)
from trimtab.core.model.identity import ArmId, EnvironmentId, ObjectId, app_of, kind_of, short
from trimtab.core.model.traffic import Backend, Share
from trimtab.ports.traffic import LEASE_TTL_S

if TYPE_CHECKING:
    from trimtab.testing.sim.sight import Sight

LEAST_PROOF = 36
"""Fewer requests cannot prove, with an error of 5 %, that less than 8 % of them fail: 0.92 ** 36 = 5 %."""
CLOCK_SLACK_S = 0.2
FRAME_S = 0.25
"""Requests come, and everything is looked at, so often."""


# --- 1. shares ---


def nothing_is_granted_beyond_the_step(sight: Sight, state: RolloutState, share: Share) -> Iterator[str]:
    """A decision never grants more than the step allows that it stores."""
    permits = sight.permits.get(state.id, ())
    if share.total_pct and not any(p.allows(state.id, p.segments, share) for p in permits):
        yield f"{state.id} is {state.phase} in step {state.step + 1} and grants {share.total_pct:g} %"


def nobody_gets_more_than_the_step_allows(sight: Sight, environment: EnvironmentId) -> Iterator[str]:
    """Traffic to an unverified release never exceeds the current step's weight, nor reaches another segment."""
    route, share = sight.gateway.route(environment), sight.gateway.share(environment)
    if route is None:
        return
    if share.total_pct and route.lease is not None:
        rollout = route.lease.rpartition("/")[0]
        allowed = [*sight.permits.get(rollout, ()), *(permit for _, permit in sight.fading)]
        if not any(permit.allows(rollout, route.segments, share) for permit in allowed):
            state = sight.rollouts[rollout]
            yield f"{rollout} is {state.phase} in step {state.step + 1} and has {share.total_pct:g} % in {environment}"
    if not _may_have_all(sight, environment, route.stable.arm):
        yield f"{short(route.stable.arm)} has all traffic of {environment}, and nobody decided that"


def _may_have_all(sight: Sight, environment: EnvironmentId, arm: ArmId) -> bool:
    place = sight.environments.get(environment)
    if place is not None and place.live == arm:
        return True
    rollouts = [s for s in sight.rollouts.values() if s.environment == environment]
    newest = max(rollouts, key=lambda s: s.number, default=None)
    promoted = newest is not None and newest.ending is not None and newest.ending.outcome == "promoted"
    # One that was told to take all traffic and then to go back again is on its way back.
    leaving = [s.release for s in rollouts if s.phase == "returning" and s.step >= len(s.steps)]
    if newest is not None and promoted and arm == newest.release:
        return True
    return arm in leaving or arm in [s.stable for s in rollouts if s.phase != "ended"]


def a_share_runs_out_when_nobody_renews_it(sight: Sight, environment: EnvironmentId) -> Iterator[str]:
    """When whoever decides is gone, the share is gone a moment later."""
    held_s = sight.clock.now() - sight.granted_at.get(environment, 0.0)
    share = sight.gateway.share(environment)
    if share.total_pct and held_s > LEASE_TTL_S + CLOCK_SLACK_S:
        yield f"nobody granted a share of {environment} for {held_s:.1f} s, and {share.total_pct:g} % are in force"


# --- 2. evidence ---


def a_share_counts_only_when_it_is_held(sight: Sight, recorded: Recorded) -> Iterator[str]:
    """Nothing counts for a step before its share was truly in force while somebody looked."""
    if not isinstance(recorded.fact, WeightVerified):
        return
    book, index = sight.books[recorded.object], recorded.fact.index
    if book.truly_held.get(index, 0.0) < book.claimed_at - FRAME_S:
        yield f"{recorded.object} found the share of step {index + 1} in force, and it was not"


def steps_pass_on_their_own_evidence(sight: Sight, recorded: Recorded) -> Iterator[str]:
    """No step passes on evidence from another step: its requests came while that very share was truly held."""
    rollout, fact = recorded.object, recorded.fact
    if isinstance(fact, StepEntered) and fact.index > 0:
        passed = fact.index - 1
    elif isinstance(fact, RolloutEnded) and fact.outcome == "promoted" and kind_of(rollout) == "rollout":
        passed = len(sight.rollouts[rollout].steps) - 1
    else:
        return
    state = sight.rollouts[rollout]
    if passed < 0 or said(sight, rollout, PromoteRequested):
        return
    step, book = state.steps[passed], sight.books[rollout]
    since = book.verified.get(passed)
    if since is None:
        yield f"{rollout} passed step {passed + 1}, and its share was not in force"
        return
    proof = LEAST_PROOF if step.evidence and not book.worse_stable else 0
    came, needed = book.held[passed] - since, max(step.requests, proof)
    if came < needed:
        yield f"{rollout} passed step {passed + 1} on {came} requests of its own, and it needs {needed}"


# --- 6. alarms ---


def an_alarm_is_never_lost(sight: Sight, recorded: Recorded) -> Iterator[str]:
    """What was judged worse, or truly fails while it has a share, is not promoted unless a person says so."""
    rollout, fact = recorded.object, recorded.fact
    if not isinstance(fact, RolloutEnded) or fact.outcome != "promoted" or kind_of(rollout) != "rollout":
        return
    for alarm in sight.facts[rollout]:
        if isinstance(alarm.fact, VerdictReached) and alarm.fact.verdict == "FAIL":
            yield f"{rollout} was promoted after FAIL: {alarm.reason}"
        if isinstance(alarm.fact, GateEnded) and not alarm.fact.passed:
            yield f"{rollout} was promoted after its gate said no"
    state = sight.rollouts[rollout]
    gates = f"gate/{state.environment}/{state.number}/"
    said_no = [name for name in sight.processes.failed if name.startswith(gates)]
    if said_no and not said(sight, rollout, PromoteRequested):
        yield f"{rollout} was promoted, and {said_no[0]} had failed"
    compared = bool(state.steps) and not sight.books[rollout].worse_stable
    if sight.natures.get(fact.release) == "bad" and compared and not said(sight, rollout, PromoteRequested):
        yield f"{rollout} promoted {short(fact.release)}, of whose requests half fail"


def an_abort_is_heeded(sight: Sight, recorded: Recorded) -> Iterator[str]:
    """A rollout that knows that it is to be aborted is not promoted."""
    rollout, fact = recorded.object, recorded.fact
    if not isinstance(fact, RolloutEnded) or fact.outcome != "promoted" or kind_of(rollout) != "rollout":
        return
    before = [recorded.fact for recorded in sight.facts[rollout]]
    taken_over = next((i for i, f in enumerate(before) if isinstance(f, ActionDone) and f.action == "promote"), 0)
    aborted = any(isinstance(f, AbortRequested) for f in before[:taken_over])
    if aborted and sight.books[rollout].told_to_abort:
        yield f"{rollout} was promoted, and was told to abort before"


def git_is_not_told_to_deploy_what_was_proven_worse(
    sight: Sight, trailers: Mapping[str, str], files: Mapping[str, bytes | None]
) -> Iterator[str]:
    """Trimtab never writes a release to Git by itself that was proven worse there."""
    if "Trimtab-Key" not in trailers or "Trimtab-Actor" in trailers:
        return
    for path, content in files.items():
        environment = environment_of(path)
        state = sight.environments.get(environment) if environment is not None else None
        if state is not None and content is not None:
            release = parse_desired(content, path)
            if (state.environment, release) in sight.proven_worse and release != state.live:
                yield f"{trailers['subject']}: {short(release)} was proven worse in {environment}"


# --- 4. instances ---


def what_gets_traffic_was_not_stopped(sight: Sight, environment: EnvironmentId) -> Iterator[str]:
    """The route never points to a release of which we stopped all instances."""
    route, share = sight.gateway.route(environment), sight.gateway.share(environment)
    if route is None:
        return
    there = {instance.endpoint for instance in sight.runtime.of(environment)}
    for backend, pct in _with_traffic(route.stable, route.candidate, route.others, share):
        if pct > 0 and not there.intersection(backend.endpoints):
            yield f"{short(backend.arm)} has {pct:g} % of {environment}, and its instances were stopped"


def _with_traffic(
    stable: Backend, candidate: Backend | None, others: tuple[Backend, ...], share: Share
) -> Iterator[tuple[Backend, float]]:
    yield stable, 100.0 - share.total_pct
    if candidate is not None:
        yield candidate, share.candidate_pct
    for other in others:
        yield other, share.others_pct.get(other.arm, 0.0)


def what_may_be_needed_is_not_stopped(sight: Sight, environment: EnvironmentId, arm: ArmId, keep: int) -> Iterator[str]:
    """The stable release is not stopped while it may be needed, nor before its delay is over."""
    state = sight.environments.get(environment)
    if state is None or keep > 0:
        return
    if arm == state.live:
        yield f"{short(arm)} is live in {environment}, and is stopped"
    for rollout in sight.under_way(environment):
        if arm == rollout.stable or (arm == rollout.release and not _may_still_be_stopped(rollout)):
            yield f"{short(arm)} is needed by {rollout.id} ({rollout.phase}), and is stopped"
    early_s = sight.needed_until.get((environment, arm), 0.0) - sight.clock.now()
    if early_s > CLOCK_SLACK_S and sight.certain_clocks and arm not in _given_up(sight, environment):
        yield f"{short(arm)} was live in {environment}, and is stopped {early_s:.1f} s before its delay is over"


def _may_still_be_stopped(rollout: RolloutState) -> bool:
    """The candidate of a rollout that goes back; or of one that has not begun its own: a stop of before may be on its
    way, the start comes after it, and nothing is routed to the candidate before that."""
    return rollout.phase == "returning" or (bool(rollout.starts) and not rollout.routed)


def _given_up(sight: Sight, environment: EnvironmentId) -> set[ArmId]:
    """Releases whose newest rollout there went back: nobody returns to them."""
    newest: dict[ArmId, str] = {}
    for state in sight.rollouts.values():
        if state.environment == environment and state.ending is not None:
            newest[state.release] = state.ending.outcome
    return {release for release, outcome in newest.items() if outcome != "promoted"}


# --- fences ---


def stale_fences_change_nothing(sight: Sight, what: str, place: str, fence: int, newest: int) -> Iterator[str]:
    """What a controller does that does not hold the object any more changes nothing."""
    del sight
    if fence < newest:
        yield f"{what} for {place} was taken with fence {fence}, after fence {newest}"


# --- in the end, when faults have ceased ---


def every_rollout_ends(sight: Sight) -> Iterator[str]:
    """A rollout always ends."""
    for state in sight.rollouts.values():
        if state.phase != "ended":
            yield f"{state.id} is {state.phase} in step {state.step + 1} still ({state.held or 'not held'})"
    for rollout in sight.facts:
        if said(sight, rollout, RolloutRequested) and rollout not in sight.ended:
            yield f"{rollout} was requested and never ended"


def git_and_live_agree(sight: Sight) -> Iterator[str]:
    """What Git says is live, gets all traffic, and its instances are ready."""
    for environment, state in sight.environments.items():
        if state.live is None:
            yield f"nothing is live in {environment}"
            continue
        said_by_git, route = desired(sight, environment), sight.gateway.route(environment)
        if said_by_git != state.live:
            yield f"Git says {short(said_by_git or 'nothing')} in {environment}, and {short(state.live)} is live"
        if route is None or route.stable.arm != state.live or sight.gateway.share(environment).total_pct:
            yield f"{short(state.live)} is live in {environment}, and the gateway routes otherwise"
        if not sight.runtime.is_ready(environment, state.live):
            yield f"{short(state.live)} is live in {environment}, and none of its instances is ready"
        others = {i.release for i in sight.runtime.of(environment)} - {state.live}
        if others:
            yield f"{', '.join(map(short, sorted(others)))} still runs in {environment}"


def a_failed_verdict_ends_at_the_stable_release(sight: Sight) -> Iterator[str]:
    """FAIL always ends at the stable release."""
    for rollout, facts in sight.facts.items():
        failed = any(isinstance(f.fact, VerdictReached) and f.fact.verdict == "FAIL" for f in facts)
        ended = sight.ended.get(rollout)
        if failed and (ended is None or ended.outcome == "promoted"):
            yield f"{rollout} got FAIL and did not go back"


def no_run_is_lost(sight: Sight) -> Iterator[str]:
    """Every change that arrived, and the newest in any case, has a run that finished or was superseded by a newer."""
    for place, facts in list(sight.facts.items()):
        if kind_of(place) == "app":
            head = sight.heads.get(app_of(place))
            arrived = {head} if head is not None else set()
            arrived |= {f.fact.change.commit for f in facts if isinstance(f.fact, ChangeArrived)}
            superseded = {f.fact.change.commit for f in facts if isinstance(f.fact, ChangeSuperseded)}
            ran = {f.fact.change.commit for f in _all(sight, "run") if isinstance(f.fact, RunRequested)}
            for lost in sorted(arrived - superseded - ran):
                yield f"commit {lost[:8]} of {place} was neither run nor superseded"
        if kind_of(place) == "run" and not any(isinstance(f.fact, RunFinished) for f in facts):
            yield f"{place} was requested and never finished"


def no_step_is_run_twice(sight: Sight) -> Iterator[str]:
    """A pipeline step that was run to its end is not run again."""
    for name in sight.processes.started:
        if name.startswith("step/") and not name.endswith("/1"):
            yield f"{name} ran, though there are no retries"
    for name in {name for name in sight.processes.started if sight.processes.started.count(name) > 1}:
        yield f"{name} was started more than once"


def no_commit_is_doubled(sight: Sight) -> Iterator[str]:
    """One decision makes one commit in the state repository."""
    keys = sight.state_repository.keys
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"{key} was committed {keys.count(key)} times"
    decisions = sight.state_repository.decisions
    for decision in sorted({decision for decision in decisions if decisions.count(decision) > 1}):
        yield f"{decision} was committed {decisions.count(decision)} times"


def nothing_is_left_to_do(sight: Sight) -> Iterator[str]:
    """Every action that was decided was carried out."""
    for row in sight.store.objects(""):
        for entry in sight.store.pending(row.object):
            yield f"{entry.id} ({entry.kind}) is still to be done"


IN_THE_END = (
    every_rollout_ends,
    git_and_live_agree,
    a_failed_verdict_ends_at_the_stable_release,
    no_run_is_lost,
    no_step_is_run_twice,
    no_commit_is_doubled,
    nothing_is_left_to_do,
)


def said(sight: Sight, place: ObjectId, kind: type) -> bool:
    return any(isinstance(recorded.fact, kind) for recorded in sight.facts.get(place, ()))


def desired(sight: Sight, environment: EnvironmentId) -> str | None:
    return sight.state_repository.says(environment)


def _all(sight: Sight, kind: str) -> list[Recorded]:
    return [recorded for place, facts in sight.facts.items() if kind_of(place) == kind for recorded in facts]
