"""Strategies as people read them."""

from __future__ import annotations

from trimtab.core.model.facts import RolloutRequested
from trimtab.core.model.identity import short
from trimtab.core.model.strategy import RolloutStep


def why_this_way(asked: RolloutRequested, steps: tuple[RolloutStep, ...]) -> str:
    if asked.stable is None:
        return "the first release here: there is nothing to compare it with, so it gets all traffic once it is ready"
    if not steps:
        return f"from {short(asked.stable)} at once"
    return f"from {short(asked.stable)} by {' -> '.join(map(words_of, steps))} -> 100 %"


def words_of(step: RolloutStep) -> str:
    if step.experiment is not None:
        return f"experiment at {step.experiment.weight_pct:g} %"
    share = f"{step.weight_pct:g} %"
    if step.mirror is not None:
        mirrored = f"{step.mirror.share_pct:g} % mirrored"
        share = mirrored if step.weight_pct == 0 else f"{share} + {mirrored}"
    return f"{step.name} {share}".strip()
