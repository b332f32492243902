"""The picture of a simulation: one line for each kind of candidate."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import DIM
from trimtab.simulate.answers import Answer, Range

_HEADINGS = ("THE CANDIDATE", "CAUGHT", "AFTER", "REQUESTS", "PROMOTED", "AFTER ", "NO VERDICT")


def answers_picture(found: Sequence[Answer], what: str) -> RenderableType:
    """`what` was simulated, in a line; then the answers."""
    rows = [
        (
            each.candidate,
            _pct(each.caught_pct),
            _minutes(each.minutes_to_catch),
            _requests(each.requests_to_catch),
            _pct(each.promoted_pct),
            _minutes(each.minutes_to_promote),
            _pct(each.no_verdict_pct),
        )
        for each in found
    ]
    numbers = tuple(heading for heading in _HEADINGS if heading != _HEADINGS[0])
    legend = "median .. what nine in ten stay within; requests: of the candidate; no verdict: back at the deadline"
    drawn = table(_HEADINGS, rows, gives_way=_HEADINGS[0], right=numbers)
    return Group(Text(what), Text(""), drawn, Text(""), Text(legend, style=DIM))


def _pct(value: float) -> str:
    return f"{value:.1f} %" if 0 < value < 10 or 90 < value < 100 else f"{value:.0f} %"


def _minutes(when: Range | None) -> str:
    return "-" if when is None else f"{_number(when.median)} .. {_number(when.p90)} min"


def _requests(how_many: Range | None) -> str:
    return "-" if how_many is None else f"{how_many.median:,.0f} .. {how_many.p90:,.0f}"


def _number(minutes: float) -> str:
    return f"{minutes:.1f}" if minutes < 10 else f"{minutes:.0f}"
