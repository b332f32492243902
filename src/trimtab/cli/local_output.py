"""A local run as it goes on: lines for a log, and below them, on a terminal, what runs at the moment."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from trimtab.cli.output import console, pipe_width, show_json
from trimtab.cli.pictures.draw import lines
from trimtab.cli.pictures.local import failure_picture, running_picture, step_line, summary
from trimtab.cli.plain import clean, clean_line
from trimtab.views.model import RunView, StepView

if TYPE_CHECKING:
    from trimtab.app.local import Outcome

FRAMES_PER_S = 8
REPEATED = 20
"""How many lines of a failed step are shown again at the end."""
_QUIET = ("waiting", "running")


class Screen(Protocol):
    """Shows a run; a `Watcher`."""

    def changed(self, run: RunView) -> None: ...

    def line(self, step: str, text: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


@contextmanager
def shown(*, as_json: bool, follow: bool) -> Iterator[Screen]:
    """What shows the run, as fits where the output goes."""
    screen = console()
    if as_json:
        yield _JsonLines() if follow else _Json()
    elif screen.is_terminal and not screen.is_dumb_terminal:
        with _Live(screen) as live:
            yield live
    else:
        yield _Lines()


class _Json:
    """One object at the end: the run as the API would show it, where its logs are, and what failed last said."""

    def changed(self, run: RunView) -> None:
        del run

    def line(self, step: str, text: str) -> None:
        del step, text

    def ended(self, outcome: Outcome) -> None:
        show_json({"run": outcome.run, "logs": outcome.logs})


class _JsonLines(_Json):
    """An object a line: steps as they change, what they write, and at the end what `_Json` shows."""

    def __init__(self) -> None:
        self._told: dict[str, StepView] = {}

    def changed(self, run: RunView) -> None:
        for step in run.steps:
            if self._told.get(step.name) != step:
                self._told[step.name] = step
                show_json({"step": step}, indent=None)

    def line(self, step: str, text: str) -> None:
        show_json({"from": step, "line": text}, indent=None)

    def ended(self, outcome: Outcome) -> None:
        show_json({"run": outcome.run, "logs": outcome.logs}, indent=None)


class _Lines:
    """For pipes and logs: what steps write with their names in front, and a line for each that has ended."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._names = 0
        self._tails: dict[str, deque[str]] = {}

    def changed(self, run: RunView) -> None:
        runs = [step.name for step in run.steps if step.status not in ("cached", "left_out")]
        self._names = max(map(len, runs)) if len(runs) > 1 else 0
        if not self._told and run.steps:
            self._print(Text(f"run {run.number} of {run.app}: {clean(run.change.subject)}", style="dim"))
        for step in run.steps:
            if self._told.get(step.name, "waiting") != step.status:
                if step.status not in _QUIET and not _is_not_wanted(step):
                    self._print(step_line(step))
                if step.status == "running" and step.attempt > 1:
                    self._tails.pop(step.name, None)
            self._told[step.name] = step.status

    def line(self, step: str, text: str) -> None:
        said = clean_line(text)
        self._tails.setdefault(step, deque(maxlen=REPEATED)).append(said)
        self._print(Text(f"{step.ljust(self._names)} | {said}" if self._names else said))

    def ended(self, outcome: Outcome) -> None:
        failed = [step for step in outcome.run.steps if step.status in ("failed", "timed_out", "lost")]
        for step in failed:
            self._print(failure_picture(step, tuple(self._tails.get(step.name, ())), outcome.logs.get(step.name)))
        self._print(summary(outcome.run))

    def _print(self, picture: RenderableType) -> None:
        click.echo("\n".join(lines(picture, pipe_width() if not isinstance(picture, Text) else 1_000_000)))


class _Live(_Lines):
    """On a terminal: the same, and at the bottom what runs, with its time going on."""

    def __init__(self, screen: Console) -> None:
        super().__init__()
        self._screen, self._run = screen, None  # type: tuple[Console, RunView | None]
        self._live = Live(console=screen, get_renderable=self._draw, refresh_per_second=FRAMES_PER_S, transient=True)

    def __enter__(self) -> _Live:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def changed(self, run: RunView) -> None:
        self._run = run
        super().changed(run)

    def ended(self, outcome: Outcome) -> None:
        self._live.stop()
        super().ended(outcome)

    def _print(self, picture: RenderableType) -> None:
        self._screen.print(picture, soft_wrap=True)

    def _draw(self) -> RenderableType:
        return running_picture(self._run, time.time()) if self._run is not None else Text("reading the folder")


def _is_not_wanted(step: StepView) -> bool:
    return step.status == "left_out" and step.detail == "not asked for"
