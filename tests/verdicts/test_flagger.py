"""The model of Flagger does what scheduler.go does."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.rivals.flagger import Flagger

FINE, BAD, NONE = 0.0, 5.0, float("nan")
NEVER = np.inf


@pytest.mark.parametrize(
    ("flagger", "checks", "rolled_back_min", "promoted_min"),
    [
        (Flagger("", 99.0), [FINE, BAD, FINE, FINE], 3, NEVER),  # the tick after the failed check
        (Flagger("", 99.0, 2), [BAD, FINE, FINE, BAD, FINE], 5, NEVER),  # nothing is forgotten
        (Flagger("", 99.0, 5), [BAD] * 6, 6, NEVER),  # threshold + 1 ticks
        (Flagger("", 99.0, 5), [BAD] * 5, NEVER, NEVER),
        (Flagger("", 99.0, 2), [NONE, NONE, FINE], 3, NEVER),  # no data is a failed check
        (Flagger("", 99.0, 5, advances=3), [FINE, FINE, FINE, BAD], NEVER, 3),
        (Flagger("", 99.0, 5, advances=3), [FINE, BAD, FINE, FINE], NEVER, 4),  # a failed check keeps the weight
        (Flagger("", 99.0, 1), [1.0, 1.0], NEVER, NEVER),  # 99 % is enough
    ],
)
def test_ticks(flagger: Flagger, checks: list[float], rolled_back_min: float, promoted_min: float) -> None:
    rolled_back, promoted = flagger.ends(np.array([checks]))
    assert (rolled_back[0], promoted[0]) == (rolled_back_min * 60.0, promoted_min * 60.0)
