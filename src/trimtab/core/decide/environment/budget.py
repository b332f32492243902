"""The error budget: how many of the last days' requests failed, and how many may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.model.identity import ArmId
from trimtab.core.model.specification import BudgetSpec
from trimtab.core.model.traffic import ArmCounts

DAY_S = 86_400.0
COUNT_EVERY_S = 30.0
"""Counting more often would only write more often."""


@dataclass(frozen=True, slots=True)
class Day:
    requests: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Spending:
    """What the gateway counted by day (days since the epoch, UTC), and up to where."""

    days: Mapping[int, Day] = field(default_factory=dict)
    at: float = 0.0
    epoch: str = ""
    seen: Mapping[ArmId, Day] = field(default_factory=dict)
    """Each arm's totals when they were counted last."""

    def of_the_last(self, days: int, now: float) -> Day:
        first = int(now // DAY_S) - days + 1
        mine = [day for number, day in self.days.items() if number >= first]
        return Day(sum(day.requests for day in mine), sum(day.errors for day in mine))


def count(
    spending: Spending, spec: BudgetSpec, counts: Mapping[ArmId, ArmCounts], now: float, *, at_once: bool = False
) -> Spending:
    """Take what the arms did since the last time into today's numbers: now and then, or at once. Counts that began
    anew count from there."""
    if not counts or (now - spending.at < COUNT_EVERY_S and not at_once):
        return spending
    epoch = next(iter(counts.values())).epoch
    before = spending.seen if epoch == spending.epoch else {}
    gained = [_since(counts[name], before.get(name, Day())) for name in counts]
    today = int(now // DAY_S)
    known = spending.days.get(today, Day())
    days = {number: day for number, day in spending.days.items() if number > today - spec.days}
    days[today] = Day(
        known.requests + sum(day.requests for day in gained), known.errors + sum(day.errors for day in gained)
    )
    return Spending(days, now, epoch, {name: Day(arm.requests, arm.errors) for name, arm in counts.items()})


def used_up(spending: Spending, spec: BudgetSpec, now: float) -> str:
    """That the budget is used up, as a sentence; empty when something is left of it."""
    spent = spending.of_the_last(spec.days, now)
    allowed = spent.requests * (100.0 - spec.objective_pct) / 100.0
    if not spent.errors or spent.errors < allowed:
        return ""
    return (
        f"the error budget is used up: {spent.errors:,} of {spent.requests:,} requests failed in {spec.days} days,"
        f" and {spec.objective_pct:g} % should not have"
    )


def _since(now: ArmCounts, before: Day) -> Day:
    return Day(max(0, now.requests - before.requests), max(0, now.errors - before.errors))
