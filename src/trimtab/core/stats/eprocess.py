"""E-processes: evidence against a null hypothesis that may be looked at after every tick.

An e-process is a non-negative process that is worth at most 1 on average at any stopping time while its null
hypothesis is true; by Ville's inequality it ever reaches 1/alpha with probability at most alpha. So a rule "stop when
E >= 1/alpha" keeps its error rate however often, and whenever, anyone looks.

Everything is kept as natural logarithms, one for each component of a mixture: nothing overflows at 10^9 requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LogWealth = tuple[float, ...]
"""The logarithm of each component's wealth; starts at zeros."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Bad events `bad_*` among exposures `all_*` (requests) of both arms in one tick."""

    all_candidate: int
    bad_candidate: int
    all_stable: int
    bad_stable: int

    def plus(self, other: Counts) -> Counts:
        return Counts(
            self.all_candidate + other.all_candidate,
            self.bad_candidate + other.bad_candidate,
            self.all_stable + other.all_stable,
            self.bad_stable + other.bad_stable,
        )


NOTHING = Counts(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class EventShareMixture:
    """Evidence against "the candidate's rate is at most `null_ratio` times the stable one's" (ratios above it), or
    against "at least `null_ratio` times" (ratios below it).

    Given how many bad events a tick had, the candidate's part of them is what the hypotheses disagree about; the stable
    rate drops out, so it may be unknown and may change from tick to tick. Per tick, with the candidate's share s of the
    exposures and component ratio r, the log-wealth grows by

        k_c log(r / r0) - (k_c + k_s) log((1 + s (r - 1)) / (1 + s (r0 - 1))).

    Its expectation is at most 0 under the whole null because
    (1 + p_c(a/b - 1))^n_c (1 + p_s(1/b - 1))^n_s <= exp(n_c p_c (a/b - 1) + n_s p_s (1/b - 1)), a = r/r0 and b the
    fraction above: the exponent is 0 at p_c = r0 p_s and monotone in p_c. Units must be independent given the past.
    Cf. Lindon & Malek (2022), Turner, Ly & Grünwald (2024).
    """

    null_ratio: float
    ratios: tuple[float, ...]
    weights: tuple[float, ...]

    def start(self) -> LogWealth:
        return (0.0,) * len(self.ratios)

    def update(self, wealth: LogWealth, tick: Counts) -> LogWealth:
        """The wealth after one tick. A tick in which one arm had no exposure says nothing and changes nothing."""
        if tick.all_candidate == 0 or tick.all_stable == 0:
            return wealth
        share = tick.all_candidate / (tick.all_candidate + tick.all_stable)
        bad = tick.bad_candidate + tick.bad_stable
        at_null = math.log1p(share * (self.null_ratio - 1.0))
        return tuple(
            log_e
            + tick.bad_candidate * math.log(ratio / self.null_ratio)
            - bad * (math.log1p(share * (ratio - 1.0)) - at_null)
            for log_e, ratio in zip(wealth, self.ratios, strict=True)
        )

    def log_e(self, wealth: LogWealth) -> float:
        return log_mean(wealth, self.weights)


@dataclass(frozen=True, slots=True)
class RateBelow:
    """Evidence against "the candidate's rate is at least `limit`": a mixture of likelihood ratios of smaller rates.

    The log-wealth of rate q grows by k log(q / limit) + (n - k) log((1 - q) / (1 - limit)), which is decreasing in the
    true rate, so the null's boundary is its worst case.
    """

    limit: float
    fractions: tuple[float, ...] = (0.02, 0.1, 0.3, 0.6)
    """The rates of the mixture, as fractions of the limit."""
    weights: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)

    def start(self) -> LogWealth:
        return (0.0,) * len(self.fractions)

    def update(self, wealth: LogWealth, tick: Counts) -> LogWealth:
        bad, good = tick.bad_candidate, tick.all_candidate - tick.bad_candidate
        return tuple(
            log_e + bad * math.log(fraction) + good * (math.log1p(-fraction * self.limit) - math.log1p(-self.limit))
            for log_e, fraction in zip(wealth, self.fractions, strict=True)
        )

    def log_e(self, wealth: LogWealth) -> float:
        return log_mean(wealth, self.weights)


def log_mean(logs: Sequence[float], weights: Sequence[float]) -> float:
    """log(sum w_i exp(x_i)) without overflow. An average of e-values is one too, however they depend on each other."""
    top = max(logs)
    return top + math.log(sum(weight * math.exp(log_e - top) for weight, log_e in zip(weights, logs, strict=True)))


@lru_cache
def worse_than_stable() -> EventShareMixture:
    """Evidence that the candidate is worse: against "its rate is at most the stable one's"."""
    return EventShareMixture(1.0, (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0), (0.10, 0.15, 0.20, 0.20, 0.15, 0.10, 0.10))


@lru_cache
def within_margin(margin_ratio: float) -> EventShareMixture:
    """Evidence of non-inferiority: against "its rate is at least `margin_ratio` (> 1) times the stable one's"."""
    return EventShareMixture(margin_ratio, (0.5, 0.8, 1.0, math.sqrt(margin_ratio)), (0.1, 0.2, 0.5, 0.2))
