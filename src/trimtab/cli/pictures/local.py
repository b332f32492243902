"""Pictures of runs on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import DIM, LOOKS, STRONG, UNKNOWN, joined, status, took
from trimtab.cli.plain import clean
from trimtab.core.say import count, duration
from trimtab.views.model import RunView, StepView
from trimtab.views.runs import documents_said

_AT_ONCE = 12
"""How many running steps are drawn."""


class ListedStep(Protocol):
    """What a run would make of a step."""

    @property
    def step(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def why(self) -> str: ...


def step_line(step: StepView) -> Text:
    """A step that has ended: ``✔ test  1.2 s``, ``✔ lint  cached, as in run 12``, ``✘ build  failed ...``."""
    look = LOOKS.get(step.status, UNKNOWN)
    line = Text(f"{look.glyph} {step.name}", style=look.style)
    if step.status == "passed":
        return joined(line, documents_said(step), _took(step))
    word = step.status.replace("_", " ")
    detail = clean(step.detail or (documents_said(step) if step.status == "cached" else ""))
    said = f"{word}, {detail}" if step.status == "cached" and detail else f"{word}: {detail}" if detail else word
    return joined(line, said, _took(step) if step.status != "cached" else "")


def running_picture(run: RunView, now: float) -> RenderableType:
    """What runs at the moment, and how far the run is."""
    running = [step for step in run.steps if step.status == "running"]
    concerned = [step for step in run.steps if step.status != "left_out"]
    done = sum(step.status not in ("running", "waiting") for step in concerned)
    head = joined(
        status(run.status), f"{done} of {count(len(concerned), 'step')}", took(run.started_at, run.duration_s, now)
    )
    drawn = [
        joined(status("running"), Text(step.name, style=STRONG), took(step.started_at or now, None, now))
        for step in running[:_AT_ONCE]
    ]
    if len(running) > _AT_ONCE:
        drawn.append(Text(f"and {len(running) - _AT_ONCE} more", style=DIM))
    return Group(*drawn, head)


def failure_picture(step: StepView, tail: Sequence[str], log: Path | None) -> RenderableType:
    """How a failed step ended: its last lines, and the file with all of them."""
    parts: list[RenderableType] = [Text(""), step_line(step)]
    parts += [Padding(Text("\n".join(tail)), (0, 0, 0, 2))] if tail else []
    # In one piece: a path that is broken over two lines cannot be copied.
    whole = Text(f"  all of it: {log}", style=DIM, no_wrap=True, overflow="ignore")
    parts += [whole] if log is not None else []
    return Group(*parts)


def summary(run: RunView) -> Text:
    """The last line: how the run ended, and what its steps came to."""
    counts = Counter(step.status for step in run.steps if step.status != "left_out")
    steps = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
    word, time = status(run.status), duration(run.duration_s) if run.duration_s is not None else ""
    line = joined(word, f"run {run.number}: {steps}" if steps else f"run {run.number}", time)
    if run.release:
        line.append(f"\nrelease {run.release}")
    elif not steps or run.status not in ("passed", "failed"):
        line.append(f"\n  {clean(run.reason)}")
    return line


def listed_table(steps: Sequence[ListedStep]) -> RenderableType:
    """Every step, and what a run would make of it."""
    if not steps:
        return Text("the pipeline has no steps", style=DIM)
    rows = [(step.step, status(step.status), clean(step.why)) for step in steps]
    return table(("STEP", "STATUS", "WHY"), rows, gives_way="WHY")


def _took(step: StepView) -> str:
    return duration(step.duration_s) if step.duration_s is not None else ""
