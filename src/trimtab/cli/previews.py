"""`trimtab previews` and `trimtab previews close`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command, group
from trimtab.cli.output import show, show_accepted
from trimtab.cli.pictures.previews import previews_table
from trimtab.cli.session import Session


@group("previews", example="trimtab previews\ntrimtab previews close preview-7")
@application
def previews(context: click.Context, session: Session, as_json: bool) -> None:
    """Each pull request that passes has one, if trimtab.yaml of the deployed branch has `previews`. Without a command:
    list."""
    if context.invoked_subcommand is None:
        _list(session, as_json)


@command("previews list", example="trimtab previews list --app shop")
@application
def list_previews(session: Session, as_json: bool) -> None:
    """Of every application, or of the one of --app: where each is, what runs there, and when it goes away by itself."""
    _list(session, as_json)


def _list(session: Session, as_json: bool) -> None:
    found = session.client.previews(session.wanted_app or "")
    show(found, lambda now, _: previews_table(found, now), as_json=as_json)


@command("previews close", example="trimtab previews close preview-7")
@application
@click.argument("name")
def close(session: Session, name: str, as_json: bool) -> None:
    """Its instances are stopped and its port is free again. A newer head that passes brings it back."""
    show_accepted(session.client.close_preview(session.app, name), as_json)
