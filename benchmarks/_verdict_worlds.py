"""The worlds in which verdicts are compared: how much traffic, who gets it, what fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.rivals.series import Arm, Array, Series

STABLE_FAILS = 0.01
BUCKET_S = 15.0
SPLITS = {"5/95": 0.05, "10/90": 0.10, "50/50": 0.50}
RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
INCIDENT_S, INCIDENT_FAILS = (600.0, 1200.0), 0.05
RAMP_FROM, RAMP_TO = 0.01, 0.50


@dataclass(frozen=True, slots=True)
class World:
    """`ratio`: how many times as often the candidate fails. `requests_each`: 0, or how many each user makes, who fails
    on all of them or on none."""

    name: str
    share: float = 0.10
    ratio: float = 1.0
    rate: float = 100.0
    minutes: float = 60.0
    incident: bool = False
    ramp: bool = False
    requests_each: int = 0

    def share_at(self, at_s: float) -> float:
        if not self.ramp:
            return self.share
        return RAMP_FROM + (RAMP_TO - RAMP_FROM) * min(1.0, at_s / (self.minutes * 60.0))

    def fails_at(self, at_s: float) -> tuple[float, float]:
        """The error rates of candidate and stable release."""
        hit = self.incident and INCIDENT_S[0] <= at_s < INCIDENT_S[1]
        stable = INCIDENT_FAILS if hit else STABLE_FAILS
        return self.ratio * stable, stable


PLAIN = tuple(World(f"equal arms, {name}", share) for name, share in SPLITS.items())
NULLS = (
    *PLAIN,
    World("incident on both arms", incident=True),
    World("share ramps 1 -> 50 %", ramp=True),
    World("5 requests/s, 4 h", rate=5.0, minutes=240.0),
    World("users of 50 requests, 30 min", minutes=30.0, requests_each=50),
    World("24 h", minutes=24 * 60.0),
)
WORSE = tuple(World(f"{ratio:g}x, {name}", share, ratio) for name, share in SPLITS.items() for ratio in RATIOS)
BOUNDARY = tuple(World(f"boundary, {name}", share, 1.5) for name, share in SPLITS.items())
SEVERITY = tuple(World(f"{ratio} %", 0.10, float(ratio), rate=200 / 60) for ratio in (1, 2, 3, 4, 5, 6, 7, 10))
"""20 candidate requests in a minute, for an hour."""


def series(world: World, rollouts: int, chance: np.random.Generator) -> Series:
    """The world as a rival sees it, with a baseline arm as large as the candidate's."""
    arms = _by_users if world.requests_each else _by_requests
    candidate, stable, baseline = arms(world, rollouts, chance)
    return Series(BUCKET_S, candidate, stable, baseline)


def _by_requests(world: World, rollouts: int, chance: np.random.Generator) -> tuple[Arm, Arm, Arm]:
    middles = (np.arange(round(world.minutes * 60.0 / BUCKET_S)) + 0.5) * BUCKET_S
    share = np.array([world.share_at(at_s) for at_s in middles])
    fails = np.array([world.fails_at(at_s) for at_s in middles])
    requests = world.rate * BUCKET_S

    def arm(part: Array, failing: Array) -> Arm:
        bad = chance.poisson(requests * part * failing, (rollouts, len(middles)))
        return Arm(bad + chance.poisson(requests * part * (1.0 - failing), bad.shape), bad)

    return arm(share, fails[:, 0]), arm(1.0 - share, fails[:, 1]), arm(share, fails[:, 1])


def _by_users(world: World, rollouts: int, chance: np.random.Generator) -> tuple[Arm, Arm, Arm]:
    """Users come at random and make a request a second."""
    seconds = round(world.minutes * 60.0)
    users = world.rate / world.requests_each

    def requests(per_second: float) -> Array:
        active = np.cumsum(chance.poisson(per_second, (rollouts, seconds)), axis=1)
        active[:, world.requests_each :] -= active[:, : -world.requests_each].copy()
        return active

    def arm(share: float, failing: float) -> Arm:
        bad, good = requests(users * share * failing), requests(users * share * (1.0 - failing))
        return Arm(bad + good, bad).every(round(BUCKET_S))

    candidate, stable = world.fails_at(0.0)
    return arm(world.share, candidate), arm(1.0 - world.share, stable), arm(world.share, stable)
