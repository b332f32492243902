"""`trimtab history`"""

from __future__ import annotations

import time
from collections.abc import Iterable

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import show, show_json, show_lines
from trimtab.cli.pictures.history import history_entry, history_picture
from trimtab.cli.session import Session
from trimtab.views.history import is_routine
from trimtab.views.model import HistoryEntry


@command("history", example="trimtab history --why --limit 10\ntrimtab history --follow")
@application
@click.option("--why", is_flag=True, help="With the reason of each.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, metavar="N", help="How many of the newest [50].")
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--all", "routine", is_flag=True, help="Also what says how, not what: ticks, actions done.")
def history(session: Session, why: bool, limit: int, follow: bool, routine: bool, as_json: bool) -> None:
    """Oldest first, one line each: when, to what, what. Of all applications, or the one of --app. With --json and
    --follow: one JSON object a line."""
    app = session.wanted_app or ""
    position = session.client.position() if follow else 0
    past = session.client.history(app, limit=limit, routine=routine)
    if follow:
        _follow(session, past, position, app, why=why, routine=routine, as_json=as_json)
    else:
        show(past, lambda now, _: history_picture(past, now, why=why), as_json=as_json)


def _follow(
    session: Session,
    past: Iterable[HistoryEntry],
    position: int,
    app: str,
    *,
    why: bool,
    routine: bool,
    as_json: bool,
) -> None:
    shown = 0
    for entry in past:
        shown = entry.seq
        _show_one(entry, why, as_json)
    for entry in session.client.events(max(shown, position)):
        if (routine or not is_routine(entry.kind, entry.object)) and (not app or entry.object.split("/")[1] == app):
            _show_one(entry, why, as_json)


def _show_one(entry: HistoryEntry, why: bool, as_json: bool) -> None:
    if as_json:
        show_json(entry, indent=None)
    else:
        show_lines(history_entry(entry, time.time(), why=why))
