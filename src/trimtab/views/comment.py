"""What is said of a run beside its pull request."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.core.say import duration
from trimtab.views.model import PreviewView, RunView, StepView
from trimtab.views.reports import named, said

LONGEST = 500
"""Of a step's detail (characters)."""
MOST_NAMED = 30
"""Failing tests and findings."""
_GLYPHS: Mapping[str, str] = {
    "passed": "✔",
    "cached": "✔",
    "left_out": "–",
    "failed": "✘",
    "timed_out": "✘",
    "lost": "✘",
    "invalid": "✘",
    "running": "◐",
    "waiting": "○",
    "skipped": "○",
    "cancelled": "○",
    "superseded": "○",
}


def comment(run: RunView, url: str) -> str:
    """The run in Markdown: how it went, each step, and why it ended so. Others' words are shown as they are written:
    they mention nobody and make no markup."""
    word = run.status.replace("_", " ")
    lines = [f"{_glyph(run.status)} **Trimtab: [run {run.number}]({url}) {word}** at {run.change.commit[:8]}"]
    if run.duration_s is not None:
        lines[0] += f", after {duration(run.duration_s)}"
        lines += ["", _quoted(run.reason)]
    if run.preview is not None:
        lines += ["", _preview_line(run.preview)]
    elif run.no_preview and run.status == "passed":
        lines += ["", f"No preview yet: {_quoted(run.no_preview)}"]
    if run.steps:
        lines += ["", "| step | | took | |", "|---|---|---|---|", *map(_row, run.steps)]
    found = [f"- {step.name}: {_quoted(line)}" for step in run.steps for line in named(step.report)]
    if found:
        lines += ["", *found[:MOST_NAMED]]
    return "\n".join(lines)


def _preview_line(preview: PreviewView) -> str:
    match preview.status:
        case "serving":
            return f"Preview: {preview.url}"
        case "failed":
            return f"The preview did not start: {_quoted(preview.reason)}"
        case status:
            return f"Preview ({status}): {preview.url}"


def _row(step: StepView) -> str:
    took = duration(step.duration_s) if step.duration_s is not None else ""
    detail = " ".join(_quoted(text) for text in (step.detail, said(step.report)) if text)
    return f"| {step.name} | {_glyph(step.status)} {step.status.replace('_', ' ')} | {took} | {detail} |"


def _glyph(status: str) -> str:
    return _GLYPHS.get(status, "•")


def _quoted(text: str) -> str:
    """Text as code in one line of a table."""
    one_line = " ".join(text.split())
    shown = one_line if len(one_line) <= LONGEST else f"{one_line[: LONGEST - 1]}…"
    return f"`{shown.replace('`', chr(39)).replace('|', '¦')}`" if shown else ""
