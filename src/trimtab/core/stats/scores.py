"""Bounded scores by betting: is the candidate's mean lower than the stable release's, or proven not to be?

The bettor watches X, whose mean is at most 0 under the null hypothesis, and holds wealth prod(1 + lambda X). With the
arms' shares pi and 1 - pi of a tick's scores, and m the stable release's mean so far (known before the tick), a score Y
counts as

    X = -(Y - m) / pi - delta   for the candidate,   X = (Y - m) / (1 - pi) - delta   for the stable release.

Then pi E[X_c] + (1 - pi) E[X_s] = mu_s - mu_c - delta, and since prod(1 + lambda E[X]) <= exp(lambda n (...)), the
wealth is an e-process against "the candidate's mean is at least the stable one's minus delta". Betting on
non-inferiority turns the sign of all of X round but for the margin: +delta. Centring by m takes out what both arms have
in common (augmented inverse propensity weighting). Waudby-Smith & Ramdas (2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trimtab.core.stats.eprocess import NOTHING, Counts, LogWealth, log_mean, without_gains, worse_than_stable

BETS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 0.9)
"""Parts of the largest bet that cannot lose everything."""
_EQUAL = (1.0 / len(BETS),) * len(BETS)
_COLLAPSE_WEIGHT = 0.5
"""The part of the wealth that watches what the scores lack of 1: it sees a collapse sooner than bets on the mean."""

ScoreCounts = Mapping[int, int]
"""How many answers had a score, by score in per cent (0 to 100)."""


@dataclass(frozen=True, slots=True)
class ScoreWealth:
    """What the bettor has, and what it knows of the stable release."""

    logs: tuple[float, ...] = (0.0,) * len(BETS)
    stable_sum: float = 0.0
    stable_count: int = 0

    @property
    def log_e(self) -> float:
        return float(log_mean(self.logs, _EQUAL))


def bet_on_worse(wealth: ScoreWealth, candidate: ScoreCounts, stable: ScoreCounts) -> ScoreWealth:
    """Evidence against "the candidate's mean is at least the stable one's". Both arms need a score."""
    return _bet(wealth, candidate, stable, sign=1.0, delta=0.0)


def bet_on_good_enough(wealth: ScoreWealth, candidate: ScoreCounts, stable: ScoreCounts, margin: float) -> ScoreWealth:
    """Evidence against "the candidate's mean is at most the stable one's minus `margin`" (non-inferiority)."""
    return _bet(wealth, candidate, stable, sign=-1.0, delta=margin)


def _bet(wealth: ScoreWealth, candidate: ScoreCounts, stable: ScoreCounts, sign: float, delta: float) -> ScoreWealth:
    n_candidate, n_stable = sum(candidate.values()), sum(stable.values())
    pi = n_candidate / (n_candidate + n_stable)
    middle = wealth.stable_sum / wealth.stable_count if wealth.stable_count else 0.5
    # |Y - m| <= 1, so no X is below -(1/pi or 1/(1-pi) + |delta|): a smaller bet than its inverse never loses all.
    largest = 1.0 / (max(1.0 / pi, 1.0 / (1.0 - pi)) + abs(delta))
    logs = []
    for log_e, part in zip(wealth.logs, BETS, strict=True):
        bet = part * largest
        gained = sum(
            n * math.log1p(bet * (-sign * (score / 100.0 - middle) / pi - sign * delta))
            for score, n in candidate.items()
        ) + sum(
            n * math.log1p(bet * (sign * (score / 100.0 - middle) / (1.0 - pi) - sign * delta))
            for score, n in stable.items()
        )
        logs.append(log_e + gained)
    total = wealth.stable_sum + sum(score / 100.0 * n for score, n in stable.items())
    return ScoreWealth(tuple(logs), total, wealth.stable_count + n_stable)


@dataclass(frozen=True, slots=True)
class Scored:
    """The evidence on one metric of scores. `whole` and `step` count what the scores lack of 1 as bad."""

    worse: ScoreWealth = ScoreWealth()
    collapse: LogWealth = ()
    good_enough: ScoreWealth = ScoreWealth()
    whole: Counts = NOTHING
    step: Counts = NOTHING
    waiting_candidate: ScoreCounts = field(default_factory=dict)
    waiting_stable: ScoreCounts = field(default_factory=dict)
    """Scores that came while the other arm had none."""
    waiting_proves: bool = True
    """Whether all of them came in the step."""


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """How a metric of scores is tested. `weight`: its part of the wealth that may be lost on false alarms."""

    weight: float
    margin: float

    def begin(self) -> Scored:
        return Scored(collapse=worse_than_stable().start())

    def enter_step(self, scored: Scored) -> Scored:
        """Promotion starts from nothing but what is known of the stable release; rollback keeps what it knows."""
        known = scored.worse
        return replace(
            scored,
            good_enough=ScoreWealth(stable_sum=known.stable_sum, stable_count=known.stable_count),
            step=NOTHING,
            waiting_proves=not scored.waiting_candidate and not scored.waiting_stable,
        )

    def begin_again(self, scored: Scored) -> Scored:
        """The step begins again: gains are lost, losses are not (as in `CountTest.begin_again`)."""
        fresh = self.enter_step(scored)
        return replace(fresh, good_enough=replace(fresh.good_enough, logs=without_gains(scored.good_enough.logs)))

    def count(self, scored: Scored, candidate: ScoreCounts, stable: ScoreCounts, in_step: bool) -> Scored:
        """Look for harm in a tick and, in a step, take it as proof of being good enough."""
        proves = scored.waiting_proves and (in_step or not (candidate or stable))
        candidate, stable = added(scored.waiting_candidate, candidate), added(scored.waiting_stable, stable)
        if not candidate or not stable:
            return replace(scored, waiting_candidate=candidate, waiting_stable=stable, waiting_proves=proves)
        tick = Counts(sum(candidate.values()), _lack(candidate), sum(stable.values()), _lack(stable))
        good_enough = scored.good_enough
        if proves:
            good_enough = bet_on_good_enough(good_enough, candidate, stable, self.margin)
        return Scored(
            worse=bet_on_worse(scored.worse, candidate, stable),
            collapse=worse_than_stable().update(scored.collapse, tick),
            good_enough=good_enough,
            whole=scored.whole.plus(tick),
            step=scored.step.plus(tick) if proves else scored.step,
        )

    def worse_log_e(self, scored: Scored) -> float:
        collapse: float = worse_than_stable().log_e(scored.collapse)
        return float(log_mean((scored.worse.log_e, collapse), (1.0 - _COLLAPSE_WEIGHT, _COLLAPSE_WEIGHT)))

    def promote_log_e(self, scored: Scored) -> float:
        return scored.good_enough.log_e


def added(scores: ScoreCounts, more: ScoreCounts) -> dict[int, int]:
    """Counts by score, summed."""
    both = {score: scores.get(score, 0) + more.get(score, 0) for score in sorted(scores.keys() | more.keys())}
    return {score: number for score, number in both.items() if number > 0}


def _lack(scores: ScoreCounts) -> float:
    return sum((1.0 - score / 100.0) * n for score, n in scores.items())
