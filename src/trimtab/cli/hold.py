"""`trimtab pin`, `unpin`, `freeze`, `thaw` and `quarantine`"""

from __future__ import annotations

import time

import click
from rich.console import Group
from rich.text import Text

from trimtab.cli.command import command, environment, group
from trimtab.cli.output import show, show_accepted
from trimtab.cli.pictures.words import DIM, name
from trimtab.cli.session import Session
from trimtab.cli.when import SPAN, WHEN


@command("pin", example="trimtab pin --env production\ntrimtab pin 3fa9c1d2 --env production")
@environment
@click.argument("release", required=False, metavar="[RELEASE]")
def pin(session: Session, release: str | None, as_json: bool) -> None:
    """RELEASE is a digest or its beginning (at least 4 digits); without it: the live one. Another one than that is
    moved to at once. What is newer waits."""
    show_accepted(session.client.pin(session.app, session.environment, release), as_json)


@command("unpin", example="trimtab unpin --env production")
@environment
def unpin(session: Session, as_json: bool) -> None:
    """What waited, or what Git says meanwhile, is deployed."""
    show_accepted(session.client.unpin(session.app, session.environment), as_json)


@command("freeze", example="trimtab freeze --for 2d\ntrimtab freeze --until 2026-12-27T08:00")
@environment
@click.option("--until", type=WHEN, metavar="TIME", help="When it ends: 2026-12-27 or 2026-12-27T08:00, local time.")
@click.option("--for", "for_s", type=SPAN, metavar="TIME", help="How long it lasts: 30m, 4h, 2d.")
def freeze(session: Session, until: float | None, for_s: float | None, as_json: bool) -> None:
    """Rollbacks, and what a person asks for, are not held. Without a time it lasts until `trimtab thaw`."""
    if until is not None and for_s is not None:
        raise click.UsageError("give --until or --for, not both")
    ends = time.time() + for_s if for_s is not None else until
    show_accepted(session.client.freeze(session.app, session.environment, ends), as_json)


@command("thaw", example="trimtab thaw --env production")
@environment
def thaw(session: Session, as_json: bool) -> None:
    """Freezes of trimtab.yaml end by their own time."""
    show_accepted(session.client.thaw(session.app, session.environment), as_json)


@group("quarantine", example="trimtab quarantine --env production\ntrimtab quarantine lift 3fa9c1d2")
@environment
def quarantine(context: click.Context, session: Session, as_json: bool) -> None:
    """A release that was proven worse is never deployed to its environment again by itself. Without a command: list."""
    if context.invoked_subcommand is None:
        _list(session, as_json)


@command("quarantine list", example="trimtab quarantine list --env production")
@environment
def list_quarantine(session: Session, as_json: bool) -> None:
    """Newest first."""
    _list(session, as_json)


def _list(session: Session, as_json: bool) -> None:
    found = session.client.environment(session.app, session.environment).quarantined
    nothing = Text(f"no release is in quarantine in {session.app}/{session.environment}", style=DIM)
    show(found, lambda _now, _width: Group(*map(name, found)) if found else nothing, as_json=as_json)


@command("quarantine lift", example="trimtab quarantine lift 3fa9c1d2 --env production")
@environment
@click.argument("release", metavar="RELEASE")
def lift(session: Session, release: str, as_json: bool) -> None:
    """RELEASE is a digest or its beginning. It is deployed when it is offered next, by a push for example."""
    show_accepted(session.client.lift_quarantine(session.app, session.environment, release), as_json)
