"""The demo's play: push a change, watch what becomes of it, go on to the next, and tell the whole story at the end."""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.cli.pictures.overview import overview
from trimtab.core.errors import failure
from trimtab.core.say import duration
from trimtab.demo.show import Chapter
from trimtab.demo.stage import Stage
from trimtab.views.model import OverviewView, RolloutView, RunView

PRODUCTION = "production"
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven")
SHOWN_LINES = 14
"""Of what a change changed."""
FRAME_S = 0.25
PICTURE_WIDTH = 112
_WEB_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Fetched from elsewhere by whoever looks at the picture: it does without."""
WORDS = {
    "promoted": ("✓", "in production", "green"),
    "rolled_back": ("↩", "rolled back", "yellow"),
    "failed": ("✗", "stopped in the pipeline", "red"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change, after how long (seconds since the push), and why."""

    chapter: Chapter
    what: str
    after_s: float
    reason: str
    release: str | None
    said: str = ""
    """What production said then."""
    changed: str = ""
    """What `trimtab diff` says of it."""

    @property
    def as_expected(self) -> bool:
        return self.what == self.chapter.expected


class Play:
    """Performs the chapters on a stage; `live` draws a picture that changes, else a line for each change.

    `picture`: an SVG file for the last frame of a canary that is about to be rolled back (the one in the README).
    """

    def __init__(self, stage: Stage, *, live: bool, picture: Path | None = None) -> None:
        self._stage = stage
        self._console = Console(highlight=False)
        self._live = live
        self._picture = picture
        self._outcomes: list[Outcome] = []

    def perform(self) -> bool:
        """Play every chapter; whether each ended as it should."""
        began = time.monotonic()
        picture: AbstractContextManager[Live | None] = nullcontext()
        if self._live:
            picture = Live(console=self._console, refresh_per_second=8, transient=True, vertical_overflow="crop")
        with picture as screen:
            for number in range(len(self._stage.show.chapters)):
                outcome = self._looked_at(self._perform(number, screen))
                self._outcomes.append(outcome)
                if not self._live:
                    self._console.print(_line(outcome))
                if number == 0:
                    self._begin(outcome)
        self._console.print(self._story(time.monotonic() - began))
        return all(outcome.as_expected for outcome in self._outcomes)

    def _begin(self, first: Outcome) -> None:
        """Let users come; without a first release there is nothing to tell."""
        if not first.as_expected:
            hint = "what the application needs may not have been fetched: try once more when PyPI can be reached"
            raise failure("demo", f"the first change did not reach production: {first.reason}", hint)
        self._stage.send_users()

    def _looked_at(self, outcome: Outcome) -> Outcome:
        """With what production says now, if it has changed, and with what it was that has changed."""
        said = self._stage.ask() if outcome.what == "promoted" else ""
        before = next((each.release for each in reversed(self._outcomes) if each.what == "promoted"), None)
        if not said or outcome.release is None or before is None:
            return replace(outcome, said=said)
        return replace(outcome, said=said, changed=self._stage.changed(outcome.release, before))

    def _perform(self, number: int, screen: Live | None) -> Outcome:
        chapter, within_s = self._stage.show.chapters[number], self._stage.show.chapter_within_s
        began = time.monotonic()
        if not self._live:
            self._console.print(f"→ git push: {chapter.subject}")
        commit = self._stage.push(number)
        while time.monotonic() - began < within_s:
            view = self._stage.client.overview(self._stage.show.app)
            if screen is not None:
                screen.update(self._frame(view, chapter, time.monotonic() - began, self._console.width))
            if self._picture is not None and chapter.expected == "rolled_back":
                self._draw(self._picture, view, chapter, time.monotonic() - began)
            if (ended := _ended(view, commit)) is not None:
                return Outcome(chapter, ended[0], time.monotonic() - began, *ended[1:])
            time.sleep(FRAME_S)
        raise failure("demo", f"nothing became of {chapter.subject!r} within {duration(within_s)}")

    def _draw(self, path: Path, view: OverviewView, chapter: Chapter, seconds: float) -> None:
        canaries = [rollout for rollout in view.rollouts.get(PRODUCTION, ()) if not rollout.ended]
        if canaries and canaries[0].rollback_evidence_pct > 50:
            paper = Console(
                record=True, width=PICTURE_WIDTH, file=StringIO(), highlight=False, color_system="truecolor"
            )
            paper.print(self._frame(view, chapter, seconds, PICTURE_WIDTH))
            drawn = paper.export_svg(title="make demo")
            path.write_text(_WEB_FONTS.sub("", drawn))

    def _frame(self, view: OverviewView, chapter: Chapter, seconds: float, width: int) -> Group:
        told = [Padding(_line(outcome), (0, 1)) for outcome in self._outcomes]
        now = Text.assemble(("● ", "bold cyan"), (chapter.subject, "bold"), f"  pushed {duration(seconds)} ago")
        room = self._console.height - len(told) - 3 if self._live else None
        picture = overview(view, width=width - 2, now=time.time(), height=room)
        return Group(*told, Padding(now, (0, 1)), Padding(picture, (1, 1)))

    def _story(self, seconds: float) -> Group:
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right")
        table.add_column()
        for number, outcome in enumerate(self._outcomes, start=1):
            glyph, word, colour = WORDS[outcome.what]
            head = Text.assemble(
                (outcome.chapter.subject, "bold"),
                "  ",
                (f"{glyph} {word}", colour),
                f" after {duration(outcome.after_s)}",
            )
            told = [head, Text(_sentence(outcome.reason))]
            told += [Text(outcome.said, style="italic")] if outcome.said else []
            told += [Text(_beginning(outcome.changed), style="dim")] if outcome.changed else []
            table.add_row(f"{number}.", Group(*told, Text("")))
        title = Text(
            f"\n{NUMBERS[len(self._outcomes)]} changes in {duration(seconds)}, and what became of each:\n", style="bold"
        )
        return Group(title, table)


def _line(outcome: Outcome) -> Text:
    glyph, word, colour = WORDS[outcome.what]
    took = f"{word} after {duration(outcome.after_s)}"
    return Text.assemble((f"{glyph} ", colour), f"{outcome.chapter.subject}: ", (took, colour))


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _beginning(changed: str) -> str:
    """As much of a comparison as shows what it is."""
    lines = [line.rstrip() for line in changed.splitlines() if line.strip()]
    more = len(lines) - SHOWN_LINES
    return "\n".join([*lines[:SHOWN_LINES], *([f"... {more} more lines"] if more > 0 else [])])


def _ended(view: OverviewView, commit: str) -> tuple[str, str, str | None] | None:
    """What became of the commit, why, and its release; None while it is on its way."""
    run = next((run for run in view.runs if run.change.commit == commit), None)
    if run is None or run.status == "running":
        return None
    if run.status != "passed":
        return "failed", _why_stopped(run), None
    mine = {place: _of_release(rollouts, run.release) for place, rollouts in view.rollouts.items()}
    for rollout in mine.values():
        if rollout is not None and rollout.ended and rollout.status != "promoted":
            return "rolled_back", rollout.reason, run.release
    last = mine.get(PRODUCTION)
    return ("promoted", last.reason, run.release) if last is not None and last.ended else None


def _of_release(rollouts: tuple[RolloutView, ...], release: str | None) -> RolloutView | None:
    """The newest rollout of the release."""
    return next((rollout for rollout in rollouts if rollout.release == release), None)


def _why_stopped(run: RunView) -> str:
    details = [step.detail for step in run.steps if step.status == "failed"]
    return f"{run.reason} ({'; '.join(details)})" if details else run.reason
