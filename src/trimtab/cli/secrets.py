"""`trimtab secrets`"""

from __future__ import annotations

import sys

import click

from trimtab.cli.command import application, command, group
from trimtab.cli.output import show, show_accepted
from trimtab.cli.pictures.secrets import secrets_table
from trimtab.cli.session import Session


@group("secrets", example="trimtab secrets\ntrimtab secrets set OPENAI_API_KEY")
@application
def secrets(context: click.Context, session: Session, as_json: bool) -> None:
    """Values are never shown. Without a command: list."""
    if context.invoked_subcommand is None:
        _list(session, session.app, as_json)


@command("secrets list", example="trimtab secrets list\ntrimtab secrets list shop")
@application
@click.argument("named", metavar="[APP]", required=False)
def list_secrets(session: Session, named: str | None, as_json: bool) -> None:
    """Their names, where they are, and when they were set. What is in SOPS files or in Vault is not listed."""
    _list(session, named or session.app, as_json)


@command("secrets set", example="trimtab secrets set OPENAI_API_KEY\npass show openai | trimtab secrets set shop KEY")
@application
@click.argument("words", metavar="[APP] NAME", nargs=-1, required=True)
def set_secret(session: Session, words: tuple[str, ...], as_json: bool) -> None:
    """The value comes from standard input, or you are asked for it; one line break at its end is left out. It is no
    argument: others could see that in the list of processes, and your shell would remember it."""
    app, name = _named(session, words)
    if sys.stdin.isatty():
        value = click.prompt(f"value of {name}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = sys.stdin.read().removesuffix("\n")
    show_accepted(session.client.set_secret(app, name, value), as_json)


@command("secrets remove", example="trimtab secrets remove OPENAI_API_KEY")
@application
@click.argument("words", metavar="[APP] NAME", nargs=-1, required=True)
def remove_secret(session: Session, words: tuple[str, ...], as_json: bool) -> None:
    """Steps that ask for it fail from now on, unless the environment of Trimtab has it."""
    app, name = _named(session, words)
    show_accepted(session.client.remove_secret(app, name), as_json)


def _list(session: Session, app: str, as_json: bool) -> None:
    found = session.client.secrets(app)
    show(found, lambda now, _: secrets_table(found, now), as_json=as_json)


def _named(session: Session, words: tuple[str, ...]) -> tuple[str, str]:
    if len(words) > 2:
        raise click.UsageError("give [APP] and NAME; the value comes from standard input")
    return (words[0], words[1]) if len(words) == 2 else (session.app, words[0])
