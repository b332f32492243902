"""`trimtab rollout` and `trimtab rollout list`"""

from __future__ import annotations

import click

from trimtab.cli.command import command, environment, group
from trimtab.cli.output import show
from trimtab.cli.pictures.rollout import rollouts_table
from trimtab.cli.session import Session


@group("rollout", example="trimtab rollout list --env production\ntrimtab rollout watch")
@environment
def rollout(context: click.Context, session: Session, as_json: bool) -> None:
    """Without a command: list."""
    if context.invoked_subcommand is None:
        _list(session, 20, as_json)


@command("rollout list", example="trimtab rollout list --env production --limit 5")
@environment
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many [20].")
def list_rollouts(session: Session, limit: int, as_json: bool) -> None:
    """Newest first, one line each."""
    _list(session, limit, as_json)


def _list(session: Session, limit: int, as_json: bool) -> None:
    found = session.client.rollouts(session.app, session.environment, limit)
    show(found, lambda now, _: rollouts_table(found, now), as_json=as_json)
