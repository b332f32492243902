"""What must be kept, and what may go.

**Releases**: whatever runs, may be returned to, or is on its way stays. The rest may go.

**Facts**: most stay for ever, since views, audit and DORA are folds over them. What only tells how something went on
its way (`ROUTINE`) goes once its object has ended and some time has passed: what a rollout counted, tick by tick, but
for the last tick of each step, which its verdict stands on. What the ticks came to is recorded in their place
(`EvidenceSummed`), so that folding what remains gives what folding everything gave.

**Ids of actions that were carried out** keep an action from being carried out twice. They go with the routine facts of
an object that has ended: an ended run or rollout decides nothing more, whatever is recorded for it, so none of its
actions can be stored again. What never ends (applications, environments) keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.core.decide.application import AppState
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.rollout import RolloutState
from trimtab.core.model.facts import EvidenceCounted, Recorded
from trimtab.core.model.identity import Digest, kind_of

RECENT = 20
"""How many of an application's newest releases, and runs' logs, are kept besides."""

ROUTINE = ("ActionDone", "EvidenceCounted")
"""Kinds of facts that may go."""
ENDS = ("RolloutEnded", "RunFinished")
"""Kinds that say that their object has ended."""
ENDLESS = ("app/", "env/")
"""Objects that never end: of their routine facts the old ones go."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long what may go is kept nevertheless (seconds)."""

    routine_s: float = 30 * 86400.0


def has_ended(recorded: Recorded) -> bool:
    """Whether the fact says that its object has ended. (Others are told of it by the same fact.)"""
    return (kind_of(recorded.object), recorded.kind) in (("rollout", "RolloutEnded"), ("run", "RunFinished"))


def forgettable(facts: Iterable[Recorded]) -> tuple[int, ...]:
    """The numbers of those facts of one object that may go, given all of its routine facts in their order."""
    may_go: list[int] = []
    last_of_step: dict[int, int] = {}
    for recorded in facts:
        if isinstance(recorded.fact, EvidenceCounted):
            before = last_of_step.get(recorded.fact.index)
            last_of_step[recorded.fact.index] = recorded.seq
            if before is not None:
                may_go.append(before)
        elif recorded.kind in ROUTINE:
            may_go.append(recorded.seq)
    return tuple(sorted(may_go))


def releases_to_keep(
    environments: Iterable[EnvironmentState],
    rollouts: Iterable[RolloutState],
    applications: Iterable[AppState],
    recent: Iterable[Digest],
) -> frozenset[Digest]:
    """Releases that garbage collection must not touch."""
    keep = set(recent)
    for application in applications:
        keep |= {waiting.offer.release for waiting in application.previews.waiting}
    for place in environments:
        offers = (place.desired, place.committing, *place.waiting)
        keep |= {offer.release for offer in offers if offer is not None}
        keep |= {release for release in (place.live, *place.history, *place.retiring) if release is not None}
    for rollout in rollouts:
        keep |= {release for release in (rollout.release, rollout.stable) if release}
    return frozenset(keep)
