"""Pictures of previews."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import DIM, ago, joined, name, span, status
from trimtab.cli.plain import clean
from trimtab.views.model import EnvironmentView, PreviewView


def previews_table(places: Sequence[EnvironmentView], now: float) -> RenderableType:
    """One line for each preview."""
    if not places:
        return Text("no preview: a pull request that passes gets one, if trimtab.yaml has `previews`", style=DIM)
    rows = [
        (
            place.app,
            place.name,
            clean(str(preview.pull_request)),
            status(preview.status),
            clean(preview.url),
            name(place.desired),
            ago(preview.since, now),
            goes(preview, now),
        )
        for place in places
        if (preview := place.preview) is not None
    ]
    headings = ("APP", "PREVIEW", "OF", "STATUS", "URL", "RELEASE", "SINCE", "GOES")
    return table(headings, rows, gives_way="OF")


def goes(preview: PreviewView, now: float) -> str:
    """When it goes away."""
    return "now" if preview.status == "closing" else f"in {span(preview.until - now)}"


def preview_line(place: EnvironmentView, preview: PreviewView, now: float) -> Text:
    """``preview-7  ● serving  http://127.0.0.1:9007  7be19a  of pull request 7, goes in 46 h``"""
    about = f"of {clean(str(preview.pull_request))}, goes {goes(preview, now)}"
    return joined(
        Text(place.name, style="bold"),
        status(preview.status),
        clean(preview.url),
        name(place.desired),
        Text(about, style=DIM),
    )
