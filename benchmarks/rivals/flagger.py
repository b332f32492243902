"""Flagger: one check in each interval; failed checks add up over the whole rollout and are never forgotten.

Modelled on pkg/controller/scheduler.go: a tick first looks at what failed before and only then measures, so a rollback
comes one tick after the last failed check; a failed check, and no data, keep the weight; a good one raises it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.rivals.series import Array, Series


@dataclass(frozen=True, slots=True)
class Flagger:
    """`threshold`: failed checks that roll back. `advances`: good checks until promotion (maxWeight / stepWeight);
    None: it keeps watching."""

    name: str
    success_min_pct: float
    threshold: int = 1
    interval_s: float = 60.0
    advances: int | None = None
    promotes_without_data: bool = False

    def rolled_back_s(self, series: Series) -> Array:
        return self.ends(series.every(self.interval_s).candidate.error_pct)[0]

    def ends(self, error_pct: Array) -> tuple[Array, Array]:
        """When each row of checks is rolled back and when it is promoted (seconds; infinity: not)."""
        rows, ticks = error_pct.shape
        rolled_back, promoted = np.full(rows, np.inf), np.full(rows, np.inf)
        failed, good = np.zeros(rows, dtype=int), np.zeros(rows, dtype=int)
        for tick in range(ticks):
            at = (tick + 1) * self.interval_s
            running = np.isinf(rolled_back) & np.isinf(promoted)
            stop = running & (failed >= self.threshold)
            rolled_back = np.where(stop, at, rolled_back)
            fine = 100.0 - error_pct[:, tick] >= self.success_min_pct  # NaN, no data, is not fine
            failed += running & ~stop & ~fine
            good += running & ~stop & fine
            if self.advances is not None:
                promoted = np.where(running & ~stop & fine & (good >= self.advances), at, promoted)
        return rolled_back, promoted
