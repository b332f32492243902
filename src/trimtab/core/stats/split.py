"""Sample-ratio mismatch: did the arms get the shares that they should have got?

If not, the split itself is broken (a gateway that lies, clients that choose their arm, requests that never end), and no
comparison of the arms can be trusted: the verdict is INVALID, and the rollout holds.

The evidence against "each arrival goes to the candidate with its expected probability p" is a mixture over how wrong
the odds are: with odds multiplied by c the probability is q = cp / (1 - p + cp), and an arrival multiplies the wealth
by q/p or (1-q)/(1-p), whose mean is 1 under the null. The same c has a meaning for every p, so the expected share may
change from tick to tick. Cf. Lindon & Malek (2022), who mix over q itself by a Dirichlet distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from trimtab.core.stats.eprocess import log_mean

ALPHA = 0.001
ODDS = (0.05, 0.25, 0.5, 0.7, 0.85, 0.95, 1 / 0.95, 1 / 0.85, 1 / 0.7, 2.0, 4.0, 20.0)
_EQUAL = (1.0 / len(ODDS),) * len(ODDS)


class Arrivals(Protocol):
    """Arrivals on both arms, and the share of them (0 to 1) that the candidate should have got."""

    @property
    def candidate(self) -> int: ...
    @property
    def stable(self) -> int: ...
    @property
    def expected(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Split:
    """The evidence against the split, and what it rests on."""

    logs: tuple[float, ...] = (0.0,) * len(ODDS)
    candidate: int = 0
    stable: int = 0
    expected: float = 0.0
    """How many arrivals the candidate should have had."""
    broken: bool = False
    """Whether the shares were ever proven to be other than expected."""

    @property
    def log_e(self) -> float:
        return float(log_mean(self.logs, _EQUAL))


def update(split: Split, ticks: Iterable[Arrivals]) -> Split:
    """The evidence after further arrivals."""
    for tick in ticks:
        every = tick.candidate + tick.stable
        # log(q/p) = log(c) - log(1 - p + cp), log((1-q)/(1-p)) = -log(1 - p + cp)
        logs = tuple(
            log_e + tick.candidate * math.log(odds) - every * math.log1p(tick.expected * (odds - 1.0))
            for log_e, odds in zip(split.logs, ODDS, strict=True)
        )
        split = Split(
            logs,
            split.candidate + tick.candidate,
            split.stable + tick.stable,
            split.expected + every * tick.expected,
            split.broken or log_mean(logs, _EQUAL) >= -math.log(ALPHA),
        )
    return split
