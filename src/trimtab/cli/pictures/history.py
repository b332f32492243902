"""Pictures of the history: one line for each fact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from trimtab.cli.pictures.words import DIM, clock_time, joined
from trimtab.cli.plain import clean
from trimtab.views.model import HistoryEntry

OBJECT_CELLS = 24


def history_entry(
    entry: HistoryEntry, now: float, *, why: bool, zone: tzinfo | None = None, object_cells: int = OBJECT_CELLS
) -> RenderableType:
    """When, to what, what; with `why` the reason below it. `zone` None: local time."""
    when = clock_time(entry.at, now, zone)
    line = joined(Text(when, style=DIM), Text(entry.object.ljust(object_cells), style=DIM), clean(entry.summary))
    if not why or not entry.reason:
        return line
    return Group(line, Padding(Text(clean(entry.reason), style=DIM), (0, 0, 0, len(when) + 2)))


def history_picture(
    entries: Sequence[HistoryEntry], now: float, *, why: bool, zone: tzinfo | None = None
) -> RenderableType:
    """Oldest first, in columns."""
    if not entries:
        return Text("nothing happened yet", style=DIM)
    cells = max(len(entry.object) for entry in entries)
    return Group(*(history_entry(entry, now, why=why, zone=zone, object_cells=cells) for entry in entries))
