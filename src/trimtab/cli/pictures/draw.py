"""From something drawable to lines of plain text."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType


def lines(picture: RenderableType, width: int) -> list[str]:
    """The picture as plain text, without escape codes and trailing spaces."""
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        force_terminal=False,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    with console.capture() as drawn:
        console.print(picture, crop=False)
    return [line.rstrip() for line in drawn.get().splitlines()]
