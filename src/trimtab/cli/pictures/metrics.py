"""Pictures of metrics of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import BAD, CARE, DIM, GOOD, problem_lines, span
from trimtab.core.errors import Problem
from trimtab.core.model.identity import short
from trimtab.views.model import MetricView


def metrics_picture(metrics: Sequence[MetricView]) -> RenderableType:
    """One line each, and below them what is wrong."""
    if not metrics:
        return Text("no metrics of your own: `analysis.metrics` in trimtab.yaml has none", style=DIM)
    headings = ("METRIC", "SOURCE", short(metrics[0].release), f"LIVE {short(metrics[0].stable)}", "READ")
    rows = [
        (
            f"{metric.name} ({metric.kind})",
            metric.source,
            _numbers(metric.kind, metric.numbers),
            _numbers(metric.kind, metric.stable_numbers),
            _state(metric),
        )
        for metric in metrics
    ]
    problems = [_said(metric.name, metric.problem) for metric in metrics if metric.problem]
    return Group(table(headings, rows, gives_way="METRIC"), *problems)


def _said(metric: str, problem: Problem) -> Text:
    return problem_lines(replace(problem, message=f"{problem.where or metric}: {problem.message}"))


def _numbers(kind: str, numbers: Mapping[str, float]) -> str:
    if not numbers:
        return "-"
    if kind == "events":
        return f"{numbers['bad']:,g} of {numbers['all']:,g}"
    if kind == "rate":
        return f"{numbers['bad']:,g}"
    return f"{numbers['mean']:.3f} of {numbers['scores']:,g}" if numbers["scores"] else "no score"


def _state(metric: MetricView) -> Text:
    if metric.problem is not None:
        return Text("✘ failed", style=BAD)
    silent = not any(number for name, number in metric.numbers.items() if name in ("all", "scores"))
    if metric.kind != "rate" and silent:
        return Text("○ nothing counted", style=CARE)
    return Text("✔ " + ("now" if not metric.age_s or metric.age_s < 1 else f"{span(metric.age_s)} old"), style=GOOD)
