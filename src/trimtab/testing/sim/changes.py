"""What people push: releases of every nature, by every strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from trimtab.core.model.specification import (
    AnalysisSpec,
    EnvironmentSpec,
    ErrorsSpec,
    GroupSpec,
    NewerPolicy,
    ReleaseSpec,
    ServiceSpec,
    Specification,
    StepSpec,
)
from trimtab.core.model.strategy import (
    ExperimentSpec,
    GateSpec,
    Match,
    MirrorSpec,
    RolloutStep,
    Segment,
    StrategyKind,
    StrategySpec,
    VariantSpec,
)

Nature = Literal["good", "bad", "bad later", "does not start", "hangs", "tests fail"]
NATURES: tuple[Nature, ...] = ("good", "bad", "bad later", "does not start", "hangs", "tests fail")

DEADLINE_S = 90.0
PROGRESS_DEADLINE_S = 15.0
BAD_RATE = 0.5
"""The share of a bad release's requests that fails."""
EVIDENT_IN_BAKE = 250
"""With only a tenth left on the stable release it takes more: each failure says little about who it came from."""
EVIDENT = 40
"""The last step of every strategy waits for so many requests: enough to see that half of them fail."""

BETA: Segment = (Match("header", "X-Beta"),)
STAFF: Segment = (Match("cookie", "staff", "exact", "yes"),)


@dataclass(frozen=True, slots=True)
class Push:
    """A commit: what it is, and how it is to be released."""

    app: str
    subject: str
    nature: Nature
    specification: Specification


def canary(rng: Random) -> tuple[RolloutStep, ...]:
    weights = rng.choice([(10.0, 50.0), (20.0, 50.0), (5.0, 25.0, 50.0), (30.0, 10.0, 60.0), (50.0,)])
    steps = [
        RolloutStep(w, rng.choice([0.5, 1.0, 2.5]), rng.choice([5, 15, 30]), evidence=_maybe(rng, 0.3)) for w in weights
    ]
    return tuple(replace(step, ramp_s=rng.choice([0.0, 0.0, 3.0])) for step in steps)


def blue_green(rng: Random) -> tuple[RolloutStep, ...]:
    gate = _gate(rng) if _maybe(rng, 0.5) else None
    before = RolloutStep(0.0, rng.choice([0.0, 2.0]), 0, gate=gate, approve=_maybe(rng, 0.3), name="before the switch")
    warm_up = RolloutStep(0.0, 1.0, 20, evidence=_maybe(rng, 0.5), mirror=MirrorSpec(50.0), name="warm-up")
    bake = RolloutStep(90.0, 2.0, EVIDENT_IN_BAKE, evidence=_maybe(rng, 0.3), name="bake")
    return ((warm_up,) if _maybe(rng, 0.5) else ()) + (before, bake)


def rolling(rng: Random) -> tuple[RolloutStep, ...]:
    """Two instances, replaced one after the other."""
    return (RolloutStep(50.0, rng.choice([0.5, 2.0]), EVIDENT, candidate_replicas=1, stable_replicas=1),)


def shadow(rng: Random) -> tuple[RolloutStep, ...]:
    return (RolloutStep(0.0, 2.0, EVIDENT, evidence=True, mirror=MirrorSpec(rng.choice([50.0, 100.0])), name="shadow"),)


def ab(rng: Random) -> tuple[RolloutStep, ...]:
    beta = RolloutStep(50.0, 2.0, 20, segments=(BETA,))
    staff = RolloutStep(80.0, 1.0, 10, segments=(STAFF,))
    everybody = RolloutStep(50.0, 1.0, EVIDENT, evidence=_maybe(rng, 0.4))
    return rng.choice([(beta, everybody), (staff, beta, everybody), (everybody,)])


def experiment(rng: Random) -> tuple[RolloutStep, ...]:
    trial = RolloutStep(
        15.0, rng.choice([1.0, 3.0]), 20, experiment=ExperimentSpec(15.0, (VariantSpec("hot", {"HEAT": "1"}),))
    )
    return (trial, RolloutStep(50.0, 1.0, EVIDENT))


def gated(rng: Random) -> tuple[RolloutStep, ...]:
    first = RolloutStep(30.0, 1.0, 10, gate=_gate(rng))
    return (first, RolloutStep(50.0, 1.0, EVIDENT, approve=_maybe(rng, 0.6)))


STRATEGIES: dict[str, tuple[StrategyKind, Callable[[Random], tuple[RolloutStep, ...]]]] = {
    "canary": ("canary", canary),
    "blue-green": ("blue-green", blue_green),
    "rolling": ("rolling", rolling),
    "shadow": ("shadow", shadow),
    "ab": ("ab", ab),
    "experiment": ("canary", experiment),
    "gated": ("canary", gated),
}


def push(rng: Random, app: str, number: int, nature: Nature, group: tuple[str, ...] = (), *, staging: bool) -> Push:
    """The application's `number`-th commit."""
    word = "canary" if group else rng.choice(("canary", "canary", *STRATEGIES))
    kind, make = STRATEGIES[word]
    steps = make(rng)
    steps = (*steps[:-1], replace(steps[-1], requests=max(EVIDENT, steps[-1].requests)))
    port = 8080 + sum(map(ord, app)) % 100
    strategy = StrategySpec(
        kind,
        steps,
        deadline_s=DEADLINE_S,
        progress_deadline_s=PROGRESS_DEADLINE_S,
        ramp_s=rng.choice([0.0, 0.0, 2.0]),
        scale_down_delay_s=rng.choice([2.0, 6.0]),
        rollback_window=rng.choice([0, 10, 10]),
    )
    production = EnvironmentSpec(
        "production",
        port,
        strategy=strategy,
        analysis=AnalysisSpec(ErrorsSpec(acceptable_pct=8.0), latency=None, split_check=_maybe(rng, 0.5)),
        group=GroupSpec("pair", group, gather_s=10.0) if group else None,
    )
    instant = StrategySpec("instant", (), DEADLINE_S, PROGRESS_DEADLINE_S, scale_down_delay_s=1.0)
    before = (EnvironmentSpec("staging", port - 1000, strategy=instant),) if staging else ()
    policy: NewerPolicy = rng.choice(["latest", "latest", "queue", "cancel"])
    test = StepSpec("test", "exit 1" if nature == "tests fail" else "pytest")
    service = ServiceSpec("serve", replicas=2 if word == "rolling" else 1, drain_timeout_s=2.0)
    named = f"{app} {number}: {word}, {nature}"
    release = ReleaseSpec(hot=("code",) if nature in ("good", "bad", "bad later") else ())
    places = (*before, production)
    return Push(app, named, nature, Specification(app, service, places, (test,), release, on_newer_change=policy))


def first(rng: Random, app: str, *, staging: bool) -> Push:
    """What is live before anything goes wrong."""
    made = push(rng, app, 0, "good", staging=staging)
    return replace(made, subject=f"{app} 0: the first release")


def _gate(rng: Random) -> GateSpec:
    return GateSpec("smoke", run="exit 1" if _maybe(rng, 0.4) else "smoke", timeout_s=10.0)


def _maybe(rng: Random, chance: float) -> bool:
    return rng.random() < chance
