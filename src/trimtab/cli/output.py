"""Data to stdout: as JSON, or as a picture that fits the terminal; as plain text where there is none."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console, RenderableType

from trimtab.cli.pictures.draw import lines
from trimtab.cli.plain import clean
from trimtab.views.model import Accepted

PIPE_WIDTH = 120
"""Where nothing says how wide the output may be."""

Picture = Callable[[float, int], RenderableType]
"""Drawn for a moment (seconds since the epoch) and a width (cells)."""


def show(value: Any, picture: Picture, *, as_json: bool) -> None:
    """The view as JSON, or its picture."""
    if as_json:
        show_json(value)
        return
    screen = console()
    if screen.is_terminal:
        screen.print(picture(time.time(), screen.width))
    else:
        show_lines(picture(time.time(), pipe_width()))


def show_lines(picture: RenderableType) -> None:
    """The picture without any escape code."""
    click.echo("\n".join(lines(picture, pipe_width())))


def show_json(value: Any, *, indent: int | None = 2) -> None:
    """The view as JSON; `indent` None: in one line."""
    from pydantic_core import to_json

    click.echo(to_json(value, indent=indent).decode())


def console() -> Console:
    """The terminal, or whatever stdout is. With NO_COLOR nothing is emphasised: glyphs and words say it all."""
    colour = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, **colour)  # type: ignore[arg-type]


def pipe_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) > 0 else PIPE_WIDTH


def show_accepted(accepted: Accepted, as_json: bool) -> None:
    """What a command that steers has set going."""
    if as_json:
        show_json(accepted)
    else:
        say(f"{clean(accepted.object)}: {clean(accepted.said)}")


def say(text: str) -> None:
    """Talk to the person: to stderr, so that data stays clean."""
    click.echo(text, err=True)
