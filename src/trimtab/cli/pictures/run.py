"""Pictures of runs and their steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from trimtab.cli.pictures.table import cuttable, table
from trimtab.cli.pictures.words import BAD, DIM, LOOKS, STRONG, UNKNOWN, ago, joined, name, status, took
from trimtab.cli.plain import clean
from trimtab.core.model.facts import PullRequest
from trimtab.core.model.identity import short
from trimtab.views.model import RunView, StepView
from trimtab.views.reports import named, said
from trimtab.views.runs import documents_said


def runs_table(runs: Sequence[RunView], now: float) -> RenderableType:
    """The newest runs, one line each."""
    if not runs:
        return Text("no run yet: a push to the deployed branch starts one", style=DIM)
    rows = [
        (
            str(run.number),
            status(run.status),
            run.change.commit[:8],
            subject_of(run),
            clean(f"schedule {run.schedule}" if run.schedule else run.change.actor),
            ago(run.started_at, now),
            took(run.started_at, run.duration_s, now),
            short(run.release) if run.release else "",
        )
        for run in runs
    ]
    headings = ("RUN", "STATUS", "COMMIT", "SUBJECT", "BY", "STARTED", "TOOK", "RELEASE")
    return table(headings, rows, gives_way="SUBJECT", right=("RUN", "TOOK"))


def run_picture(run: RunView, now: float) -> RenderableType:
    """One run: what it is, each step with how it went, and why it ended so."""
    head = joined(
        status(run.status),
        Text(f"run {run.number} of {run.app}", style=STRONG),
        took(run.started_at, run.duration_s, now),
    )
    change = run.change
    about = [
        Text(f"  {change.commit[:8]} on {change.branch} by {clean(change.actor)}: {clean(change.subject)}"),
        Text(f"  started {ago(run.started_at, now)}", style=DIM),
    ]
    if run.again_of is not None:
        about.insert(1, Text(f"  run {run.again_of} once more"))
    if run.pull_request:
        about.insert(1, _pull_request_line(run.pull_request))
    if run.schedule:
        about.insert(1, Text(f"  by schedule {clean(run.schedule)}{'' if run.until == 'deploy' else ', not deployed'}"))
    if run.release:
        about.append(Text("  release ").append_text(name(run.release)))
    if run.preview is not None:
        about.append(joined(Text("  preview"), status(run.preview.status), clean(run.preview.url), gap=" "))
    elif run.no_preview:
        about.append(Text(f"  no preview yet: {clean(run.no_preview)}"))
    steps = table(("STEP", "STATUS", "TOOK", "DETAIL"), _step_rows(run, now), gives_way="DETAIL", right=("TOOK",))
    parts: list[RenderableType] = [head, *about]
    if run.reason:
        parts.append(Padding(Text(clean(run.reason)), (0, 0, 0, 2)))
    if run.steps:
        parts += [Text(""), steps, *_reports(run)]
    return Group(*parts)


def _reports(run: RunView) -> Iterator[RenderableType]:
    """What the steps' tools said, with failing tests and findings by name."""
    reported = [step for step in run.steps if said(step.report)]
    if reported:
        yield Text("")
    for step in reported:
        yield Text("  ").append(step.name, style=STRONG).append(f"  {clean(said(step.report))}")
        yield from (
            cuttable(Text(f"    {LOOKS['failed'].glyph} {clean(line)}", style=BAD)) for line in named(step.report)
        )


def subject_of(run: RunView) -> str:
    """The change in a few words, and the pull request if it is one: ``#7 Cache the embeddings``."""
    request = run.pull_request
    mark = "" if request is None else f"pr/{clean(request.name)} " if request.name else f"#{request.number} "
    return mark + clean(run.change.subject)


def _pull_request_line(request: PullRequest) -> Text:
    about = " ".join(clean(word) for word in (request.title, request.url) if word)
    fork = " from a fork" if request.from_fork else ""
    return Text(f"  {clean(str(request))}{fork} into {clean(request.base)}, not deployed{about and f': {about}'}")


def _step_rows(run: RunView, now: float) -> list[tuple[str, Text, str, str]]:
    return [
        (step.name, status(step.status), _step_took(step, now), _attempt(step) + clean(_detail(step)))
        for step in run.steps
    ]


def _step_took(step: StepView, now: float) -> str:
    return "" if step.started_at is None else took(step.started_at, step.duration_s, now)


def _detail(step: StepView) -> str:
    return ", ".join(said for said in (documents_said(step), step.detail) if said)


def _attempt(step: StepView) -> str:
    return f"attempt {step.attempt}: " if step.attempt > 1 else ""


def steps_line(run: RunView, now: float) -> Text:
    """All steps of a run in one line: glyph, name and time of each, and the word where it is not the usual."""
    return joined(*(_step_word(step, now) for step in run.steps))


def _step_word(step: StepView, now: float) -> Text:
    look = LOOKS.get(step.status, UNKNOWN)
    word = "" if step.status in ("passed", "waiting") else f" {step.status.replace('_', ' ')}"
    return Text(f"{look.glyph} {step.name}{word}", style=look.style).append(f" {_step_took(step, now)}".rstrip(), DIM)
