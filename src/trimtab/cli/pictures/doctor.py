"""The picture of what `trimtab doctor` found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.cli.pictures.words import DIM, GAP, STRONG, status
from trimtab.cli.plain import clean
from trimtab.core.say import count
from trimtab.views.findings import CHECKS, Finding

_WORD_CELLS = 2 + len("warning")
_NAME_CELLS = max(map(len, CHECKS))


def doctor_picture(found: Sequence[Finding]) -> RenderableType:
    """One finding after the other, the worst first; below each why it is so and what to do."""
    return Group(*(_finding(finding) for finding in found), Text(""), _sum(found))


def _finding(finding: Finding) -> RenderableType:
    grid = Table.grid(padding=(0, len(GAP), 0, 0))
    grid.add_column(no_wrap=True, min_width=_WORD_CELLS)
    grid.add_column(no_wrap=True, min_width=_NAME_CELLS)
    grid.add_column()
    quiet = finding.severity == "ok"
    rows = [Text(clean(finding.what), style=DIM if quiet else STRONG), *_below(finding)]
    grid.add_row(status(finding.severity), Text(finding.check, style=DIM), Group(*rows))
    return grid


def _below(finding: Finding) -> Iterator[RenderableType]:
    if finding.why:
        yield Text(clean(finding.why))
    if finding.where:
        yield Text(f"at {clean(finding.where)}", style=DIM)
    if finding.do:
        yield Padding(Text(f"→ {clean(finding.do)}"), (0, 0, 0, 2))


def _sum(found: Sequence[Finding]) -> Text:
    numbers = [(count(sum(f.severity == word for f in found), word), word) for word in ("error", "warning", "note")]
    wrong = [text for text, word in numbers if any(f.severity == word for f in found)]
    looked = count(len({finding.check for finding in found}), "check")
    return Text(f"{looked}: {', '.join(wrong) or 'all is well'}", style=DIM)
