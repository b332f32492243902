"""What was measured as tables in Markdown, and as figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks._report import Value
from benchmarks._verdict_runs import Ended, wald_bound_requests
from benchmarks._verdict_worlds import BOUNDARY, NULLS, PLAIN, RATIOS, SEVERITY, SPLITS, WORSE, World
from benchmarks.rivals.series import Array
from benchmarks.rivals.settings import RIVALS

OURS = "Trimtab"
WATCHED = "10/90"
"""The split at which the rivals are compared."""
NOISE = 4.0
"""Standard errors that a difference must exceed to be one."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the rollouts of one cell. Minutes are infinite where nothing happened."""

    runs: int
    rolled_back_pct: float
    mean_requests: float
    mean_minutes: float
    promoted_pct: float
    promoted_median_minutes: float
    promoted_mean_minutes: float


Cells = Mapping[tuple[str, str], Summary]
"""By rule and world; ``... promotion`` are rollouts that may be promoted."""


def summary(ended: Ended) -> Summary:
    caught, promoted = np.isfinite(ended.rolled_back_s), np.isfinite(ended.promoted_s)
    return Summary(
        len(caught),
        ended.rolled_back_pct,
        _mean(ended.requests[caught]),
        _mean(ended.rolled_back_s[caught]) / 60.0,
        ended.promoted_pct,
        float(np.median(ended.promoted_s)) / 60.0 if len(promoted) else math.inf,
        _mean(ended.promoted_s[promoted]) / 60.0,
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else math.inf


def promotion(rule: str) -> str:
    return f"{rule} promotion"


def figures(cells: Cells) -> dict[str, Value]:
    """The figures with goals."""
    over = [_over_bound(cells, world) for world in WORSE if world.ratio >= 2.0]
    found: dict[str, Value] = {
        "false_rollback_pct_max": max(cells[OURS, world.name].rolled_back_pct for world in NULLS),
        "false_rollback_runs_per_cell": min(cells[OURS, world.name].runs for world in NULLS),
        "detection_over_wald_max": max(over),
        "detection_over_wald_mean": sum(over) / len(over),
        "detection_runs_per_cell": min(cells[OURS, world.name].runs for world in WORSE if world.ratio >= 2.0),
    }
    for split, world in zip(SPLITS, PLAIN, strict=True):
        cell, place = cells[promotion(OURS), world.name], split.replace("/", "_")
        found[f"promote_min_{place}"] = cell.promoted_median_minutes
        found[f"promote_mean_min_{place}"] = cell.promoted_mean_minutes
    found["false_promotion_pct_max"] = max(cells[promotion(OURS), world.name].promoted_pct for world in BOUNDARY)
    found["severity_dips"] = len(dips(cells, OURS))
    found["rivals_severity_dips_max"] = max(len(dips(cells, rule.name)) for rule in RIVALS)
    for rule in RIVALS:
        worst = max(cells[rule.name, world.name].rolled_back_pct for world in NULLS)
        found[f"rival_false_rollback_pct_max, {rule.name}"] = worst
    return found


def dips(cells: Cells, rule: str) -> list[str]:
    """Error rates at which a worse candidate was caught less often than a better one, beyond noise."""
    found = []
    for better, worse in pairwise(SEVERITY):
        mine, theirs = cells[rule, worse.name], cells[rule, better.name]
        p, q = mine.rolled_back_pct / 100.0, theirs.rolled_back_pct / 100.0
        error = math.sqrt((p * (1 - p) + q * (1 - q)) / mine.runs)
        if p < q - NOISE * error:
            found.append(worse.name)
    return found


def _over_bound(cells: Cells, world: World) -> float:
    return cells[OURS, world.name].mean_requests / wald_bound_requests(world)


def tables(cells: Cells) -> str:
    """Everything that was measured, as Markdown."""
    return "\n".join(
        (*_false_rollbacks(cells), *_detection(cells), *_promotion(cells), *_speed(cells), *_severity(cells))
    )


def _false_rollbacks(cells: Cells) -> Iterator[str]:
    yield "### False rollbacks: the candidate is as good as the stable release\n"
    yield "Per cent of the rollouts that are rolled back while they are watched, an hour if nothing else is said.\n"
    yield from _table([world.name for world in NULLS], lambda rule, name: _pct(cells[rule, name].rolled_back_pct))
    runs = min(cell.runs for cell in cells.values())
    yield f"\n{runs:,} rollouts or more in each cell.\n"


def _detection(cells: Cells) -> Iterator[str]:
    yield "### Detection: candidate requests until the rollback, and how much more than the least possible\n"
    yield f"| the candidate fails | {' | '.join(SPLITS)} |\n|---|{'---|' * len(SPLITS)}"
    for ratio in RATIOS:
        row = []
        for world in (each for each in WORSE if each.ratio == ratio):
            cell = cells[OURS, world.name]
            late = "" if cell.rolled_back_pct > 99.95 else f" ({_pct(cell.rolled_back_pct)} % in the hour)"
            row.append(f"{cell.mean_requests:,.0f}, {_over_bound(cells, world):.2f}x{late}")
        yield f"| {ratio:g} times as often | {' | '.join(row)} |"
    yield "\nMeans; the bound is Wald's with two samples and an unknown stable rate, at 1 % false alarms.\n"


def _promotion(cells: Cells) -> Iterator[str]:
    yield "### Promotion: minutes until equal arms are proven to be within 1.5 times\n"
    yield "| split | median | mean | promoted at the margin (5 % allowed) |\n|---|---|---|---|"
    for split, equal, margin in zip(SPLITS, PLAIN, BOUNDARY, strict=True):
        cell, false = cells[promotion(OURS), equal.name], cells[promotion(OURS), margin.name]
        minutes = f"{cell.promoted_median_minutes:.1f} | {cell.promoted_mean_minutes:.1f}"
        yield f"| {split} | {minutes} | {_pct(false.promoted_pct)} % |"
    without = ", ".join(rule.name.partition(" <=")[0] for rule in RIVALS if rule.promotes_without_data)
    yield f"\nWithout a request on the candidate nothing is ever promoted. A stage that passes on no data: {without}.\n"


def _speed(cells: Cells) -> Iterator[str]:
    yield f"### Rivals: caught within an hour at {WATCHED}, and mean minutes until then\n"
    names = {f"{world.ratio:g}x": world.name for world in WORSE if world.share == SPLITS[WATCHED]}

    def cell(rule: str, name: str) -> str:
        found = cells[rule, names[name]]
        minutes = f", {found.mean_minutes:.1f} min" if math.isfinite(found.mean_minutes) else ""
        return f"{_pct(found.rolled_back_pct)} %{minutes}"

    yield from _table(list(names), cell)
    yield ""


def _severity(cells: Cells) -> Iterator[str]:
    yield "### Severity: per cent caught within an hour at 20 candidate requests a minute, stable at 1 %\n"
    yield from _table(
        [world.name for world in SEVERITY],
        lambda rule, name: _pct(cells[rule, name].rolled_back_pct),
        "the candidate fails",
    )
    found = {rule: where for rule in (OURS, *(rule.name for rule in RIVALS)) if (where := dips(cells, rule))}
    said = "; ".join(f"{rule}: at {', '.join(where)}" for rule, where in found.items()) or "nowhere"
    yield f"\nWhere a worse candidate is caught less often than a better one, by more than chance: {said}.\n"


def _table(columns: Sequence[str], cell: Callable[[str, str], str], corner: str = "rule") -> Iterator[str]:
    yield f"| {corner} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"
    for rule in (OURS, *(rule.name for rule in RIVALS)):
        yield f"| {rule} | {' | '.join(cell(rule, column) for column in columns)} |"


def _pct(value: float) -> str:
    return f"{value:.2f}" if 0 < value < 1 else f"{value:.1f}".removesuffix(".0")
