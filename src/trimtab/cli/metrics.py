"""`trimtab metrics`"""

from __future__ import annotations

import click

from trimtab.cli.command import command, environment
from trimtab.cli.output import show
from trimtab.cli.session import Session


@command("metrics", example="trimtab metrics --env production\ntrimtab metrics 3fa9c1d2 --json")
@environment
@click.argument("release", required=False, metavar="[RELEASE]")
@click.pass_context
def metrics(context: click.Context, session: Session, release: str | None, as_json: bool) -> None:
    """Each is read for RELEASE (a digest or its beginning; without it: the newest) and for the live release, as a
    rollout would; `$since` is an hour ago. Exit code 1 when one cannot be read."""
    from trimtab.cli.pictures.metrics import metrics_picture

    found = session.client.metrics(session.app, session.environment, release)
    show(found, lambda _now, _width: metrics_picture(found), as_json=as_json)
    if any(metric.problem for metric in found):
        context.exit(1)
