"""`trimtab diff`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import console, show
from trimtab.cli.pictures.diff import diff_picture
from trimtab.cli.session import Session


@command("diff", example="trimtab diff 4f1c9a\ntrimtab diff 4f1c9a 0b77d2 --full")
@application
@click.argument("release", metavar="RELEASE")
@click.argument("base", metavar="[BASE]", required=False)
@click.option("--full", is_flag=True, help="With the texts of all files, not only of prompts.")
def diff(session: Session, release: str, base: str | None, full: bool, as_json: bool) -> None:
    """What RELEASE (the beginning of its digest) changes against BASE, another release: prompts one by one, the model,
    configuration, flags, dependencies, files, and what else trimtab.yaml says. Without BASE: against what is live in
    the last environment. Prompts are side by side where the terminal has 120 columns or more."""
    found = session.client.diff(session.app, release, base, full=full)
    beside = console().is_terminal
    show(found, lambda _, width: diff_picture(found, width, beside=beside), as_json=as_json)
