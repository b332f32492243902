"""`trimtab runs` and `trimtab run`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import show
from trimtab.cli.pictures.run import run_picture, runs_table
from trimtab.cli.session import Session


@command("runs", example="trimtab runs --limit 5")
@application
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many [20].")
def runs(session: Session, limit: int, as_json: bool) -> None:
    """Newest first, one line each."""
    found = session.client.runs(session.app, limit)
    show(found, lambda now, _: runs_table(found, now), as_json=as_json)


@command("run", example="trimtab run 12")
@application
@click.argument("number", metavar="RUN", type=click.IntRange(min=1))
def run(session: Session, number: int, as_json: bool) -> None:
    """Each step with how it went and how long it took, and why the run ended as it did."""
    found = session.client.run(session.app, number)
    show(found, lambda now, _: run_picture(found, now), as_json=as_json)
