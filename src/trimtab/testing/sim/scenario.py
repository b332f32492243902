"""What a seed stands for: how many replicas, what weather, and what happens when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from trimtab.testing.sim.changes import NATURES, Push, first, push
from trimtab.testing.sim.links import Weather

DOZES_BEFORE = (
    ("runtime", "stop"),
    ("runtime", "ensure"),
    ("gateway", "lease"),
    ("gateway", "apply"),
    ("state repository", "write"),
)
CALM_BEFORE_S = 12.0
"""The first release goes live before anything goes wrong."""


@dataclass(frozen=True, slots=True)
class Event:
    """At `at` (seconds from the beginning) the world does `what`."""

    at: float
    what: str
    about: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    apps: tuple[str, ...]
    first: tuple[Push, ...]
    replicas: int
    weather: Weather
    skews_s: tuple[float, ...]
    dozes_before: tuple[str, str] | None
    """The call (port, method) before which controllers often stand still for long."""
    renames: bool
    """Whether a replica has another name in each of its lives."""
    led: bool
    """Whether one of the replicas at a time leads the data plane, or each environment has a holder of its own."""
    shares: bool
    """Whether releases of a nature that shows only when they serve use each other's instances."""
    requests_per_s: int
    events: tuple[Event, ...]
    """In order. The last of them is when faults cease."""
    chaos_ends: float

    @property
    def certain_clocks(self) -> bool:
        return not any(self.skews_s) and not any(event.what == "clock" for event in self.events)


def scenario(seed: int) -> Scenario:
    """The scenario of a seed: always the same."""
    rng = Random(f"scenario {seed}")
    apps = ("shop", "cart") if rng.random() < 0.12 else ("shop",)
    group = tuple(f"{app}/production" for app in apps) if len(apps) > 1 else ()
    staging = rng.random() < 0.15
    ends = CALM_BEFORE_S + rng.uniform(25.0, 70.0)
    replicas = rng.choice([1, 2, 2, 3])
    dozes_before = rng.choice(DOZES_BEFORE) if replicas > 1 and rng.random() < 0.4 else None
    events = [
        *_returns(rng, apps, ends, dozes_before),
        *_pushes(rng, apps, group, ends, staging=staging),
        *_people(rng, apps, ends),
        *_mishaps(rng, apps, replicas, ends),
    ]
    return Scenario(
        seed=seed,
        apps=apps,
        first=tuple(first(rng, app, staging=staging) for app in apps),
        replicas=replicas,
        weather=_weather(rng),
        skews_s=tuple(_skew(rng) for _ in range(replicas)),
        dozes_before=dozes_before,
        renames=rng.random() < 0.5,
        led=rng.random() < 0.5,
        shares=Random(f"shares {seed}").random() < 0.4,
        requests_per_s=rng.choice([60, 120, 240]),
        events=tuple(sorted(events, key=lambda event: event.at)),
        chaos_ends=ends,
    )


def _weather(rng: Random) -> Weather:
    """Each kind of mishap is absent in many seeds, so that the others can be told apart."""

    def some(most: float) -> float:
        return rng.choice([0.0, 0.0, 0.3, 1.0]) * most

    return Weather(some(0.03), some(0.03), some(0.03), some(0.03), some(0.006), some(0.012))


def _skew(rng: Random) -> float:
    return rng.choice([0.0, 0.0, 0.0, rng.uniform(-2.0, 2.0), rng.uniform(-15.0, 15.0)])


def _pushes(
    rng: Random, apps: tuple[str, ...], group: tuple[str, ...], ends: float, *, staging: bool
) -> Iterator[Event]:
    number, at = 1, CALM_BEFORE_S + rng.uniform(0.0, 4.0)
    while at < ends - 5.0 and number <= 5:
        nature = rng.choices(NATURES, (5, 4, 2, 1, 0.5, 1))[0]
        for app in apps:
            yield Event(at, "push", (push(rng, app, number, nature, group, staging=staging),))
        if rng.random() < 0.15:
            yield Event(at + rng.choice([6.0, 15.0]), "push_again", (apps[0], rng.random()))
        number, at = number + 1, at + rng.choice([0.3, 3.0, 12.0, 20.0, 25.0])


def _people(rng: Random, apps: tuple[str, ...], ends: float) -> Iterator[Event]:
    for _ in range(rng.choice([0, 0, 1, 2, 4, 6])):
        what = rng.choice(
            [
                "abort",
                "promote",
                "hold",
                "resume",
                "roll_back",
                "roll_back",
                "pin",
                "unpin",
                "freeze",
                "thaw",
                "edit",
                "edit",
                "scrawl",
            ]
        )
        yield Event(rng.uniform(CALM_BEFORE_S + 3.0, ends), what, (rng.choice(apps), rng.random()))


def _returns(rng: Random, apps: tuple[str, ...], ends: float, dozes_before: tuple[str, str] | None) -> Iterator[Event]:
    """Where releases are stopped late, people want just those back."""
    for _ in range(4 if dozes_before == ("runtime", "stop") else 0):
        yield Event(rng.uniform(CALM_BEFORE_S + 5.0, ends), "roll_back", (rng.choice(apps), 1.0))


def _mishaps(rng: Random, apps: tuple[str, ...], replicas: int, ends: float) -> Iterator[Event]:
    for _ in range(rng.choice([0, 1, 3, 6])):
        at, machine = rng.uniform(CALM_BEFORE_S, ends), rng.randrange(replicas)
        for_s = rng.choice([0.6, 2.0, 6.0, 20.0])
        what = rng.choice(["kill", "pause", "pause", "cut", "cut", "clock", "instance", "silence", "count", "lie"])
        if what in ("kill", "pause"):
            yield Event(at, what, (machine, for_s))
        elif what == "cut":
            ways = ("gateway", "state repository", "store", "space", "runtime", "metrics")
            yield Event(at, "cut", (machine, rng.choice(ways), for_s))
        elif what == "clock":
            yield Event(at, "clock", (machine, rng.choice([-3600.0, -10.0, -1.0, 1.0, 10.0, 40.0])))
        else:
            yield Event(at, what, (rng.choice(apps), for_s))
