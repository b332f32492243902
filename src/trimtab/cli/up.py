"""`trimtab up` and `trimtab down`: the only commands that are the system instead of talking to it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trimtab.cli.command import command
from trimtab.cli.find import CONFIGURATION, existing_home, git_top_level, here
from trimtab.cli.folder import HOME, named_home
from trimtab.cli.output import say


@command(
    "up",
    example="trimtab up\ntrimtab up --home /var/lib/trimtab --port 7070\n"
    "trimtab up --database postgresql://trimtab@db/trimtab\ntrimtab up --join --port 0",
)
@HOME
@click.option("--host", default="127.0.0.1", metavar="HOST", help="Where the API listens [127.0.0.1].")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7070,
    metavar="PORT",
    help="The API's port; 0: any free one [7070].",
)
@click.option(
    "--database",
    metavar="URL",
    envvar="TRIMTAB_DATABASE",
    help="Keep the store in PostgreSQL instead of a file, from now on.",
)
@click.option(
    "--public-url",
    metavar="URL",
    envvar="TRIMTAB_PUBLIC_URL",
    help="Where forges and others reach the API, for links and webhooks [where it listens].",
)
@click.option("--join", is_flag=True, help="Be another controller beside the one that runs; it takes over if need be.")
@click.pass_context
def up(
    context: click.Context,
    home: str | None,
    host: str,
    port: int,
    database: str | None,
    public_url: str | None,
    join: bool,
    as_json: bool,
) -> None:
    """Stays in the foreground until Ctrl-C; what it runs goes on serving without it (`trimtab down` stops that too).
    In a Git repository with a trimtab.yaml it shows how to push to it."""
    from trimtab.app import Settings, serve

    top = git_top_level(Path.cwd())
    repository = top if top is not None and (top / CONFIGURATION).is_file() else None
    place = named_home(home) or here(Path.cwd())
    if as_json:
        click.echo(json.dumps({"home": str(place), "host": host, "port": port}))
    context.exit(serve(Settings(place, host, port, database, join, public_url), repository))


@command("down", example="trimtab down")
@HOME
def down(home: str | None, as_json: bool) -> None:
    """The controller, every instance and step, and the gateway. What is kept on disk stays: `trimtab up` goes on.
    A controller that is paused is woken, one that does not answer is killed after 15 s."""
    from trimtab.app import down as stop

    stopped = stop(named_home(home) or existing_home(Path.cwd()), say)
    if as_json:
        click.echo(json.dumps({"stopped": stopped}))
    else:
        say("1 process stopped" if stopped == 1 else f"{stopped} processes stopped")
