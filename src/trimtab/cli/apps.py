"""`trimtab apps` and `trimtab apps add`"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from trimtab.cli.command import command, group, server
from trimtab.cli.output import say, show, show_json
from trimtab.cli.pictures.status import apps_table
from trimtab.cli.plain import clean
from trimtab.cli.session import Session

if TYPE_CHECKING:
    from trimtab.views.model import WebhookView

FORGES = ("github", "gitlab", "gitea", "forgejo", "bitbucket", "bitbucket-data-center")


@group("apps", example="trimtab apps\ntrimtab apps add shop")
@server
def apps(context: click.Context, session: Session, as_json: bool) -> None:
    """Without a command: list."""
    if context.invoked_subcommand is None:
        found = session.client.status().apps
        show(found, lambda now, _: apps_table(found, now), as_json=as_json)


@command(
    "apps add",
    example="trimtab apps add shop\ntrimtab apps add shop --poll https://git.example.com/shop.git --branch main\n"
    "trimtab apps add shop --forge github --repository org/shop --token-stdin < token",
)
@server
@click.argument("name")
@click.option("--poll", "poll_url", metavar="URL", help="Fetch this repository instead of waiting for pushes.")
@click.option("--branch", default="main", metavar="BRANCH", help="The branch that is deployed [main].")
@click.option("--forge", type=click.Choice(FORGES), help="The repository is at such a forge.")
@click.option("--repository", metavar="ORG/NAME", help="Its name there.")
@click.option("--api-url", metavar="URL", help="The address of the forge's API [that of github.com, gitlab.com, ...].")
@click.option("--token-stdin", is_flag=True, help="Read the forge's token from standard input [$TRIMTAB_FORGE_TOKEN].")
def add(
    session: Session,
    name: str,
    poll_url: str | None,
    branch: str,
    forge: str | None,
    repository: str | None,
    api_url: str | None,
    token_stdin: bool,
    as_json: bool,
) -> None:
    """Without --poll and --forge, Trimtab serves a Git repository for it, to which you push. With --forge, runs are
    reported there, and pull requests are run; the first time, it says what to enter in the forge's webhook settings."""
    place = _forge(forge, repository, api_url)
    token = sys.stdin.read() if token_stdin else os.environ.get("TRIMTAB_FORGE_TOKEN")
    app = session.client.register(name, branch=branch, poll_url=poll_url, forge=place)
    webhook = session.client.keep_forge_secrets(name, token) if place else None
    if as_json and webhook is not None:
        show_json({"app": app, "webhook": webhook})
    else:
        show(app, lambda now, _: apps_table((app,), now), as_json=as_json)
    if webhook is not None:
        _tell_webhook(name, webhook, has_token=bool(token))
    elif poll_url is None:
        say(f"push to it: git remote add trimtab {session.client.url}/git/{app.name}.git && git push trimtab {branch}")


def _forge(kind: str | None, repository: str | None, api_url: str | None) -> dict[str, str | None] | None:
    if kind is None:
        if repository or api_url:
            raise click.UsageError("--repository and --api-url are of a forge: say --forge, too")
        return None
    if repository is None:
        raise click.UsageError("say with --repository which one it is at the forge, as in --repository org/shop")
    return {"kind": "gitea" if kind == "forgejo" else kind, "repository": repository, "api_url": api_url}


def _tell_webhook(app: str, webhook: WebhookView, *, has_token: bool) -> None:
    say(f"webhook  {clean(webhook.url)}")
    if webhook.secret is not None:
        say(f"secret   {webhook.secret}")
        say("Enter both in the forge's settings: pushes and pull requests, as JSON. The secret is not said again.")
    else:
        say(f"Its secret was said before; it is in the file secrets/{clean(app)}/forge-webhook of Trimtab's folder.")
    if not has_token:
        say("No token was given: unless there is one, runs are not reported, and a private repository is not fetched.")
