"""What must be kept: whatever runs, may be returned to, or is on its way. The rest may go."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.rollout import RolloutState
from trimtab.core.model.identity import Digest

RECENT = 20
"""How many of an application's newest releases, and runs' logs, are kept besides."""


def releases_to_keep(
    environments: Iterable[EnvironmentState], rollouts: Iterable[RolloutState], recent: Iterable[Digest]
) -> frozenset[Digest]:
    """Releases that garbage collection must not touch."""
    keep = set(recent)
    for place in environments:
        offers = (place.desired, place.committing, *place.waiting)
        keep |= {offer.release for offer in offers if offer is not None}
        keep |= {release for release in (place.live, *place.history, *place.retiring) if release is not None}
    for rollout in rollouts:
        keep |= {release for release in (rollout.release, rollout.stable) if release}
    return frozenset(keep)
