"""`trimtab verify`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import show
from trimtab.cli.pictures.verification import verification_picture
from trimtab.cli.session import Session


@command("verify", example="trimtab verify 3f2a91c0d4e5\ntrimtab verify 3f2a91c0 --json")
@application
@click.argument("release", metavar="RELEASE")
@click.pass_context
def verify(context: click.Context, session: Session, release: str, as_json: bool) -> None:
    """Every byte that is kept of it, every signature, and whether each environment would let it in now. RELEASE: its
    digest, or how that begins. Exit code 1 when something is wrong."""
    found = session.client.verification(session.app, release)
    show(found, lambda now, _: verification_picture(found, now), as_json=as_json)
    context.exit(1 if found.problems else 0)
