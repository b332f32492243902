"""`trimtab runs`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import show
from trimtab.cli.pictures.run import run_picture, runs_table
from trimtab.cli.session import Session


@command("runs", example="trimtab runs --limit 5\ntrimtab runs 12")
@application
@click.argument("number", metavar="[RUN]", required=False, type=click.IntRange(min=1))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many [20].")
def runs(session: Session, number: int | None, limit: int, as_json: bool) -> None:
    """Newest first, one line each. RUN: that one, each step with how it went and how long it took, and why the run
    ended as it did."""
    if number is not None:
        one = session.client.run(session.app, number)
        show(one, lambda now, _: run_picture(one, now), as_json=as_json)
        return
    found = session.client.runs(session.app, limit)
    show(found, lambda now, _: runs_table(found, now), as_json=as_json)
