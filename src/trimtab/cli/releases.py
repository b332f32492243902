"""`trimtab releases`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import show
from trimtab.cli.pictures.releases import release_picture, releases_table
from trimtab.cli.session import Session


@command("releases", example="trimtab releases --limit 5\ntrimtab releases 4f1c9a")
@application
@click.argument("release", metavar="[RELEASE]", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many [20].")
def releases(session: Session, release: str | None, limit: int, as_json: bool) -> None:
    """Newest first, with the run and commit each was cut from, what it changes against the one before, and how it fared
    in each environment. RELEASE (the beginning of its digest): that one, with its parts, prompts and model."""
    if release is not None:
        one = session.client.release(session.app, release)
        show(one, lambda now, _: release_picture(one, now), as_json=as_json)
        return
    found = session.client.releases(session.app, limit)
    show(found, lambda now, _: releases_table(found, now), as_json=as_json)
