"""Tables without lines: a dim heading, columns as wide as they need to be, one of them giving way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from trimtab.cli.pictures.words import DIM

Cell = str | Text


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, gives_way: str, right: Sequence[str] = ()
) -> Table:
    """`gives_way`: the column that is cut when the width does not suffice; `right`: columns of numbers."""
    drawn = Table(box=None, header_style=DIM, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        drawn.add_column(heading, justify="right" if heading in right else "left", no_wrap=heading != gives_way)
    flexible = list(headings).index(gives_way)
    for row in rows:
        drawn.add_row(*(cuttable(cell) if index == flexible else cell for index, cell in enumerate(row)))
    return drawn


def cuttable(cell: Cell) -> Text:
    """The cell as one line that ends in an ellipsis where there is no room for it.

    A column gives way only if it may wrap (rich's rule); its text may not.
    """
    text = cell.copy() if isinstance(cell, Text) else Text(cell)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
