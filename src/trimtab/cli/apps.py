"""`trimtab apps` and `trimtab apps add`"""

from __future__ import annotations

import click

from trimtab.cli.command import command, group, server
from trimtab.cli.output import say, show
from trimtab.cli.pictures.status import apps_table
from trimtab.cli.session import Session


@group("apps", example="trimtab apps\ntrimtab apps add shop")
@server
def apps(context: click.Context, session: Session, as_json: bool) -> None:
    """Without a command: list."""
    if context.invoked_subcommand is None:
        found = session.client.status().apps
        show(found, lambda now, _: apps_table(found, now), as_json=as_json)


@command(
    "apps add",
    example="trimtab apps add shop\ntrimtab apps add shop --poll https://git.example.com/shop.git --branch main",
)
@server
@click.argument("name")
@click.option("--poll", "poll_url", metavar="URL", help="Fetch this repository instead of waiting for pushes.")
@click.option("--branch", default="main", metavar="BRANCH", help="The branch that is deployed [main].")
def add(session: Session, name: str, poll_url: str | None, branch: str, as_json: bool) -> None:
    """Without --poll, Trimtab serves a Git repository for it, to which you push."""
    app = session.client.register(name, branch=branch, poll_url=poll_url)
    show(app, lambda now, _: apps_table((app,), now), as_json=as_json)
    if poll_url is None:
        say(f"push to it: git remote add trimtab {session.client.url}/git/{app.name}.git && git push trimtab {branch}")
