"""`trimtab releases`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import show
from trimtab.cli.pictures.releases import releases_table
from trimtab.cli.session import Session


@command("releases", example="trimtab releases --limit 5")
@application
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many [20].")
def releases(session: Session, limit: int, as_json: bool) -> None:
    """Newest first, with the run and commit each was cut from, and how it fared in each environment."""
    found = session.client.releases(session.app, limit)
    show(found, lambda now, _: releases_table(found, now), as_json=as_json)
