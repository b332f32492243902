"""One metric of counts, tested both ways: bad events among exposures on both arms.

Everything here works on numbers and, given numpy as `xp`, on arrays of many rollouts at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trimtab.core.stats.eprocess import (
    NOTHING,
    SCALARS,
    Counts,
    EventShareMixture,
    LogWealth,
    RateBeyond,
    log_mean,
    without_gains,
)
from trimtab.core.stats.latency import Threshold

WITHIN_WEIGHT = 0.92
"""The part of the wealth for promotion that is bet on being as good as the stable release; the rest is bet on being
below the limit, which alone can be proven of a service that never fails."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The evidence on one metric. `whole` counts over the rollout, `step` since the step began."""

    worse: LogWealth = ()
    within: LogWealth = ()
    below: LogWealth = ()
    whole: Counts = NOTHING
    step: Counts = NOTHING
    waiting: Counts = NOTHING
    """Of numbers that come from elsewhere: exposures that are too few yet to be a tick."""
    waiting_proves: bool = True
    """Whether all of them came in the step."""
    threshold: Threshold | None = None
    """Of latency, once it is learnt."""


@dataclass(frozen=True, slots=True)
class CountTest:
    """How one metric is tested. `weight`: its part of the wealth that may be lost on false alarms. `within` and
    `below`: the two proofs of being good enough, relative to the stable release or whatever that one does."""

    weight: float
    worse: EventShareMixture | RateBeyond
    within: EventShareMixture | None = None
    below: RateBeyond | None = None

    def begin(self) -> Counted:
        return self.enter_step(Counted(worse=self.worse.start()))

    def enter_step(self, counted: Counted) -> Counted:
        """Promotion starts from nothing, rollback keeps what it knows."""
        within = self.within.start() if self.within else ()
        below = self.below.start() if self.below else ()
        waiting_proves = counted.waiting == NOTHING
        return replace(counted, within=within, below=below, step=NOTHING, waiting_proves=waiting_proves)

    def begin_again(self, counted: Counted) -> Counted:
        """The step begins again. Of the wealth for promotion only gains are lost: with as many fresh starts as one
        likes, luck would come some day."""
        fresh = self.enter_step(counted)
        return replace(fresh, within=without_gains(counted.within), below=without_gains(counted.below))

    def count(self, counted: Counted, tick: Counts, share: Any = None, xp: Any = SCALARS) -> Counted:
        """Look for harm in a tick. `share`: the candidate's part of the exposures by assignment (0 to 1); None: the
        realised one."""
        if isinstance(self.worse, EventShareMixture):
            worse = self.worse.update(counted.worse, tick, share, xp)
        else:
            worse = self.worse.update(counted.worse, tick)
        return replace(counted, worse=worse, whole=counted.whole.plus(tick))

    def count_for_step(self, counted: Counted, tick: Counts, xp: Any = SCALARS) -> Counted:
        """Take a tick as proof of being good enough."""
        within = self.within.update(counted.within, tick, None, xp) if self.within else ()
        below = self.below.update(counted.below, tick) if self.below else ()
        return replace(counted, within=within, below=below, step=counted.step.plus(tick))

    def worse_log_e(self, counted: Counted, xp: Any = SCALARS) -> Any:
        return self.worse.log_e(counted.worse, xp)

    def promote_log_e(self, counted: Counted, xp: Any = SCALARS) -> Any:
        within = self.within.log_e(counted.within, xp) if self.within else None
        below = self.below.log_e(counted.below, xp) if self.below else None
        if within is None or below is None:
            return below if within is None else within
        return log_mean((within, below), (WITHIN_WEIGHT, 1.0 - WITHIN_WEIGHT), xp)
