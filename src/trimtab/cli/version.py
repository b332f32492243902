"""`trimtab version`"""

from __future__ import annotations

import click

from trimtab import __version__
from trimtab.cli.command import command


@command("version", example="trimtab version")
def version(as_json: bool) -> None:
    """Of this program; `trimtab status --json` has the server's."""
    click.echo(f'{{"version": "{__version__}"}}' if as_json else __version__)
