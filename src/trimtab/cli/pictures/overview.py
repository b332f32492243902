"""The live picture of an application: its last runs and rollouts, the one under way in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from trimtab.cli.pictures.draw import lines
from trimtab.cli.pictures.rollout import rollout_picture
from trimtab.cli.pictures.run import steps_line, subject_of
from trimtab.cli.pictures.status import app_head, live_text
from trimtab.cli.pictures.table import cuttable
from trimtab.cli.pictures.words import DIM, NAME, STATUS_CELLS, STRONG, joined, problem_lines, status, took
from trimtab.cli.plain import clean
from trimtab.core.model.identity import short
from trimtab.views.model import EnvironmentView, OverviewView, RolloutView, RunView

SUBJECT_CELLS = 16
"""What is left of a subject, at least, when the window is narrow."""


def overview(view: OverviewView, width: int, now: float, height: int | None = None) -> RenderableType:
    """The pipeline, then every environment with its traffic. With `height` (lines): as much of the past as has room."""
    past = max(len(view.runs), *(len(rollouts) for rollouts in view.rollouts.values()), 1)
    picture = Group(*_blocks(view, past, width, now))
    while height is not None and past > 1 and len(lines(picture, width)) > height:
        past -= 1
        picture = Group(*_blocks(view, past, width, now))
    return picture


def _blocks(view: OverviewView, past: int, width: int, now: float) -> Iterator[RenderableType]:
    """`past`: how many runs, and rollouts of the last environment, are shown."""
    head = app_head(view.app, now)
    head.truncate(width, overflow="ellipsis")
    yield head
    yield from (problem_lines(problem) for problem in view.app.problems)
    yield Text("")
    yield _heading("pipeline")
    yield _runs(view.runs[:past], width, now) if view.runs else Text("  waiting for the first push", style=DIM)
    for place in view.app.environments:
        yield Text("")
        # Only the last place, production, is worth its past: the places before it show what is there now.
        last = place is view.app.environments[-1]
        shown = view.rollouts.get(place.name, ())[: past if last else 1]
        yield from _environment_block(place, shown, width, now)


def _heading(title: str, remark: Text | None = None) -> RenderableType:
    text = Text(title, style=STRONG)
    return Rule(joined(text, remark) if remark else text, align="left", style=DIM, characters="─")


def _runs(runs: Sequence[RunView], width: int, now: float) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=STATUS_CELLS + 2)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(max_width=max(SUBJECT_CELLS, width // 3))
    grid.add_column()
    for run in runs:
        grid.add_row(
            Text("  ").append_text(status(run.status)),
            str(run.number),
            cuttable(subject_of(run)),
            cuttable(joined(_outcome(run), steps_line(run, now))),
        )
    return grid


def _outcome(run: RunView) -> Text:
    if run.release:
        return Text("→ ", style=DIM).append(short(run.release), NAME)
    return Text(clean(run.reason) if run.status == "invalid" else "")


def _environment_block(
    place: EnvironmentView, rollouts: Sequence[RolloutView], width: int, now: float
) -> Iterator[RenderableType]:
    yield _heading(place.name, joined(Text(place.address, style=DIM), live_text(place, now)))
    yield from (Padding(problem_lines(problem), (0, 0, 0, 2)) for problem in place.problems)
    for rollout in rollouts:
        if rollout.ended:
            yield _ended(rollout, width, now)
        else:
            yield Padding(rollout_picture(rollout, now, width - 2), (0, 0, 0, 2))


def _ended(rollout: RolloutView, width: int, now: float) -> RenderableType:
    """An ended rollout: what it was, and below why it ended so; an instant one that went well needs no why."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=STATUS_CELLS + 2)
    grid.add_column(no_wrap=True)
    grid.add_column(max_width=max(SUBJECT_CELLS, width - 50))
    grid.add_column(no_wrap=True)
    grid.add_row(
        Text("  ").append_text(status(rollout.status)),
        Text(short(rollout.release), style=NAME),
        cuttable(clean(rollout.subject)),
        Text(took(rollout.started_at, rollout.duration_s, now), style=DIM),
    )
    if rollout.status == "promoted" and rollout.strategy == "instant":
        return grid
    return Group(grid, Padding(Text(clean(rollout.reason), style=DIM), (0, 0, 0, 4)))
