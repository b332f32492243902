"""How traffic moves to a new release, compiled: a strategy is a list of steps, whatever its name.

Canary, blue-green, rolling, shadow and A/B are ways of writing such a list; the rollout knows only steps. Each step
says in full what is in force while it lasts, and everything that must be true before it ends. A bake time is a step,
too: all traffic but a little that stays on the stable release, so that both are still compared in the same seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

StrategyKind = Literal["instant", "canary", "blue-green", "rolling", "shadow", "ab"]
Compare = Literal["none", "status", "exact", "json", "similar"]


@dataclass(frozen=True, slots=True)
class Match:
    """One property of a request."""

    source: Literal["header", "cookie", "query"]
    name: str
    how: Literal["exact", "prefix", "regex", "present"] = "present"
    value: str = ""


Segment = tuple[Match, ...]
"""Requests of which every match is true."""


@dataclass(frozen=True, slots=True)
class MirrorSpec:
    """A copy of `share_pct` of the stable release's requests goes to the candidate; its answers are thrown away."""

    share_pct: float = 100.0
    compare: Compare = "none"
    """What of the two answers is compared. ``status``: their class (2xx, 4xx, ...). ``exact``: status and bytes.
    ``json``: status and JSON but for the paths in `ignore`. ``similar``: status and how alike the words are."""
    ignore: tuple[str, ...] = ()
    """Paths of JSON that may differ: ``usage.total_tokens``, ``choices.*.id``."""
    alike_pct: float = 80.0
    """With ``similar``: answers that are less alike than this differ."""
    acceptable_pct: float = 5.0
    """Promotion needs evidence that less than this share of the answers differ."""


@dataclass(frozen=True, slots=True)
class GateSpec:
    """Something outside that has to agree before a step ends: a command, or a URL that is asked until it answers."""

    name: str
    run: str | None = None
    """Exit code 0: passed; anything else: failed."""
    url: str | None = None
    """2xx: passed, unless its JSON says ``{"status": "fail"}`` or ``"wait"``; 202, 404, 425, 429 and 5xx: asked again;
    other: failed."""
    method: Literal["GET", "POST"] = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Values may name variables of the environment that Trimtab runs in: ``Bearer ${TOKEN}``."""
    timeout_s: float = 600.0
    """A gate that has not passed by then has failed."""
    every_s: float = 5.0


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """A further candidate of an experiment: the same release with other environment variables."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """Several candidates against one baseline: the candidate itself, its variants, and fresh instances of the stable
    release, each with `weight_pct` of the traffic."""

    weight_pct: float
    variants: tuple[VariantSpec, ...] = ()
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """What is in force, and what the step waits for. All of its conditions must hold; a rollback waits for none."""

    weight_pct: float = 0.0
    """The candidate's share of those who take part (`segments`)."""
    hold_s: float = 10.0
    """...for at least this long,"""
    requests: int = 20
    """...until this many candidate requests were counted (mirrored ones too),"""
    evidence: bool = False
    """...until the analysis says PASS on the evidence of this step alone,"""
    gate: GateSpec | None = None
    """...until this gate has passed,"""
    approve: bool = False
    """...and until a person said so."""
    segments: tuple[Segment, ...] = ()
    """Who takes part: requests that belong to any of them. Empty: everybody."""
    mirror: MirrorSpec | None = None
    candidate_replicas: int | None = None
    """How many instances the candidate has in this step; None: as many as the environment says."""
    stable_replicas: int | None = None
    """How many instances of the stable release keep getting traffic; None: all of them."""
    experiment: ExperimentSpec | None = None
    ramp_s: float = 0.0
    """The share grows evenly to `weight_pct` over this time instead of at once: cold caches warm up."""
    name: str = ""
    """What people call it: ``warm-up``, ``bake``."""


DEFAULT_STEPS = (
    RolloutStep(5.0, 15.0, 20),
    RolloutStep(25.0, 15.0, 50),
    RolloutStep(50.0, 15.0, 100, evidence=True),
)


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """How traffic moves to a new release. An instant strategy has no steps."""

    kind: StrategyKind = "canary"
    steps: tuple[RolloutStep, ...] = DEFAULT_STEPS
    deadline_s: float = 3600.0
    """A rollout that has not been promoted by then goes back to the stable release."""
    progress_deadline_s: float = 600.0
    """A rollout that waits this long for instances or for the gateway goes back; waiting for evidence, time, gates and
    people is not meant."""
    ramp_s: float = 0.0
    """The last move, to all traffic, takes this long."""
    scale_down_delay_s: float = 30.0
    """The instances of the release before stay this long after it lost all traffic: a return to it is instant."""
    rollback_window: int = 10
    """A return to one of the last so many releases that were live skips the steps."""
