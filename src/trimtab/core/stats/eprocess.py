"""E-processes: evidence against a null hypothesis that may be looked at after every tick.

An e-process is a non-negative process that is worth at most 1 on average at any stopping time while its null
hypothesis is true; by Ville's inequality it ever reaches 1/alpha with probability at most alpha. So a rule "stop when
E >= 1/alpha" keeps its error rate however often, and whenever, anyone looks.

Everything is kept as natural logarithms, one for each component of a mixture: nothing overflows at 10^9 requests. The
formulas work on numbers and, given numpy as `xp`, on arrays of many rollouts at once: what is simulated in thousands is
the very rule that decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

LogWealth = tuple[Any, ...]
"""The logarithm of each component's wealth (a number, or an array of one number for each rollout)."""


class Scalars:
    """Python's own mathematics under numpy's names."""

    log = staticmethod(math.log)
    log1p = staticmethod(math.log1p)
    exp = staticmethod(math.exp)
    maximum = staticmethod(max)


SCALARS = Scalars()


@dataclass(frozen=True, slots=True)
class Counts:
    """Bad events `bad_*` among exposures `all_*` of both arms in one tick. An exposure may be bad in part (a score's
    distance from 1), so they need not be whole numbers."""

    all_candidate: float = 0
    bad_candidate: float = 0
    all_stable: float = 0
    bad_stable: float = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(
            self.all_candidate + other.all_candidate,
            self.bad_candidate + other.bad_candidate,
            self.all_stable + other.all_stable,
            self.bad_stable + other.bad_stable,
        )


NOTHING = Counts()


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
    fraction above: the exponent is 0 at p_c = r0 p_s and monotone in p_c. Exposures that are bad in part obey it too,
    since a^y <= 1 + y (a - 1) for y in [0, 1]. Cf. Lindon & Malek (2022), Turner, Ly & Grünwald (2024).

    The share is the realised one, or a given one: that of the random assignment. With the latter the label of each bad
    event is Bernoulli(s) whatever became of the other requests, so nothing is assumed of how requests depend on each
    other as long as each is assigned by itself; and bad events of the candidate that have not been seen yet (a share
    that has just risen, requests that are still under way) can only make the evidence smaller.

    Copies of the same requests (a mirror) are no harm: with x = a/b - 1 > 0 > 1/b - 1 = y a request with both answers
    contributes 1 + p x + p y + P(both bad) x y, which is smaller the more often both are bad together.
    """

    null_ratio: float
    ratios: tuple[float, ...]
    weights: tuple[float, ...]

    def start(self) -> LogWealth:
        return (0.0,) * len(self.ratios)

    def update(self, wealth: LogWealth, tick: Counts, share: Any = None, xp: Any = SCALARS) -> LogWealth:
        """The wealth after one tick. With realised shares, a tick in which one arm had no exposure changes nothing."""
        if share is None:
            every = tick.all_candidate + tick.all_stable
            share = tick.all_candidate / (every + (every == 0))
        bad = tick.bad_candidate + tick.bad_stable
        at_null = xp.log1p(share * (self.null_ratio - 1.0))
        return tuple(
            log_e
            + tick.bad_candidate * math.log(ratio / self.null_ratio)
            - bad * (xp.log1p(share * (ratio - 1.0)) - at_null)
            for log_e, ratio in zip(wealth, self.ratios, strict=True)
        )

    def log_e(self, wealth: LogWealth, xp: Any = SCALARS) -> Any:
        return log_mean(wealth, self.weights, xp)


@dataclass(frozen=True, slots=True)
class RateBeyond:
    """Evidence against "the candidate's rate is at least `limit`" (`rates` below it) or against "at most `limit`"
    (`rates` above it): a mixture of likelihood ratios.

    The log-wealth of rate q grows by k log(q / limit) + (n - k) log((1 - q) / (1 - limit)). Its expectation is at most
    0 on the whole null, since that is monotone in the true rate and 0 at the limit.
    """

    limit: float
    rates: tuple[float, ...]
    weights: tuple[float, ...]

    def start(self) -> LogWealth:
        return (0.0,) * len(self.rates)

    def update(self, wealth: LogWealth, tick: Counts) -> LogWealth:
        bad, good = tick.bad_candidate, tick.all_candidate - tick.bad_candidate
        return tuple(
            log_e + bad * math.log(rate / self.limit) + good * (math.log1p(-rate) - math.log1p(-self.limit))
            for log_e, rate in zip(wealth, self.rates, strict=True)
        )

    def log_e(self, wealth: LogWealth, xp: Any = SCALARS) -> Any:
        return log_mean(wealth, self.weights, xp)


def log_mean(logs: Sequence[Any], weights: Sequence[float], xp: Any = SCALARS) -> Any:
    """log(sum w_i exp(x_i)) without overflow. An average of e-values is one too, however they depend on each other."""
    top = reduce(xp.maximum, logs)
    return top + xp.log(sum(weight * xp.exp(log_e - top) for weight, log_e in zip(weights, logs, strict=True)))


def without_gains(wealth: LogWealth) -> LogWealth:
    """What was won is given up, what was lost stays lost: worth no more than before, so still an e-process."""
    return tuple(min(0.0, log_e) for log_e in wealth)


# The mixtures below were chosen by simulation (`benchmarks/verdicts` repeats it): at 100 requests/s, ticks of 0.5 s and
# a stable rate of 1 %, for true ratios from 2 to 10 and shares from 5 to 50 %, so that the worst mean time to detection
# is closest to the information bound; and so that an equal candidate is promoted soonest at a margin of 1.5.


@lru_cache
def worse_than_stable() -> EventShareMixture:
    """Evidence that the candidate is worse: against "its rate is at most the stable one's"."""
    return EventShareMixture(1.0, (1.3, 2.0, 3.5, 7.0, 14.0), (0.06, 0.16, 0.20, 0.28, 0.30))


@lru_cache
def within_margin(margin_ratio: float) -> EventShareMixture:
    """Evidence of non-inferiority: against "its rate is at least `margin_ratio` (> 1) times the stable one's"."""
    return EventShareMixture(margin_ratio, (0.6, 1.0, margin_ratio**0.35), (0.06, 0.80, 0.14))


@lru_cache
def rate_below(limit: float) -> RateBeyond:
    """Evidence that the candidate's rate is below `limit`, whatever the stable release does."""
    return RateBeyond(limit, tuple(part * limit for part in (0.02, 0.1, 0.3, 0.6)), (0.4, 0.3, 0.2, 0.1))


@lru_cache
def rate_above(limit: float) -> RateBeyond:
    """Evidence that the candidate's rate is above `limit`: rates on the way from it to 1."""
    return RateBeyond(limit, tuple(limit + part * (1.0 - limit) for part in (0.03, 0.1, 0.3, 0.7)), (0.25,) * 4)
