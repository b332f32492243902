"""The answers as a picture: what becomes of each kind of candidate, and when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import failure
from trimtab.simulate.answers import Answer, Range

KINDS = (".svg", ".png")
SELDOM_PCT = 1.0
"""What happens less often is not drawn: a few rollouts have no telling median."""
_RED, _GREEN, _GREY = "#c62828", "#2e7d32", "#bdbdbd"


def check(file: Path) -> None:
    """Before anything is simulated: can the picture be drawn?

    Errors: ``unknown-picture`` when the name ends in neither .svg nor .png; ``no-matplotlib``.
    """
    if file.suffix.lower() not in KINDS:
        hint = f"call it {file.with_suffix('.svg').name} or {file.with_suffix('.png').name}"
        raise failure("unknown-picture", "a picture is an .svg or a .png", hint, str(file))
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        hint = "pip install 'trimtab[pictures]'"
        raise failure("no-matplotlib", "pictures are drawn by matplotlib, which is not installed", hint) from None


def draw(found: Sequence[Answer], title: str, file: Path) -> None:
    """Write the picture. Errors: as `check`, and ``unwritable``."""
    check(file)
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rcParams["svg.hashsalt"] = "trimtab"  # the same answers give the same file
    figure = Figure(figsize=(11, 1.8 + 0.6 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    ends, times = figure.subplots(1, 2, sharey=True)
    _draw_ends(found, ends)
    _draw_times(found, times)
    try:
        figure.savefig(file, dpi=120, metadata={"Date": None} if file.suffix.lower() == ".svg" else None)
    except OSError as error:
        message = f"the picture cannot be written: {error.strerror}"
        raise failure("unwritable", message, "name a file in a folder that you may write to", str(file)) from None


def _draw_ends(found: Sequence[Answer], panel: Any) -> None:
    places, left = range(len(found)), [0.0] * len(found)
    parts = (
        ("caught: goes back", _RED, [each.caught_pct for each in found]),
        ("no verdict: goes back", _GREY, [each.no_verdict_pct for each in found]),
        ("promoted", _GREEN, [each.promoted_pct for each in found]),
    )
    for name, colour, widths in parts:
        panel.barh(places, widths, left=left, color=colour, label=name, height=0.6)
        left = [begin + width for begin, width in zip(left, widths, strict=True)]
    panel.set_yticks(list(places), [each.candidate for each in found])
    panel.invert_yaxis()
    panel.set(xlim=(0, 100), xlabel="% of rollouts", title="How it ends")
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncol=3, frameon=False, fontsize=8)


def _draw_times(found: Sequence[Answer], panel: Any) -> None:
    """A dot at the median, a line to where nine in ten are through."""
    for place, each in enumerate(found):
        if each.minutes_to_catch is not None and each.caught_pct >= SELDOM_PCT:
            _draw_range(panel, place - 0.12, each.minutes_to_catch, _RED, 5)
        if each.minutes_to_promote is not None and each.promoted_pct >= SELDOM_PCT:
            _draw_range(panel, place + 0.12, each.minutes_to_promote, _GREEN, -13)
    panel.set(xlabel="minutes: median, and nine in ten", title="When", xscale="log")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.grid(axis="x", color="#eeeeee")


def _draw_range(panel: Any, place: float, when: Range, colour: str, words_above: int) -> None:
    panel.plot([when.median, when.p90], [place, place], color=colour, linewidth=2)
    panel.plot([when.median], [place], color=colour, marker="o")
    panel.annotate(
        f"{when.median:.2g} min", (when.median, place), (0, words_above), textcoords="offset points", fontsize=8
    )
