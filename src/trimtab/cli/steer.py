"""`trimtab approve`, `promote`, `pause`, `resume`, `abort`, `rollback` and `cancel`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command, environment
from trimtab.cli.output import show_accepted
from trimtab.cli.session import Session
from trimtab.client.client import RolloutCommand


@command("approve", example="trimtab approve --env production")
@environment
def approve(session: Session, as_json: bool) -> None:
    """Only while a step waits for it; the step's other conditions still hold."""
    _steer(session, "approve", as_json)


@command("promote", example="trimtab promote --env production")
@environment
def promote(session: Session, as_json: bool) -> None:
    """For when you know better than the tests: all traffic goes to the candidate at once."""
    _steer(session, "promote", as_json)


@command("pause", example="trimtab pause --env production")
@environment
def pause(session: Session, as_json: bool) -> None:
    """Evidence is still gathered, and a candidate that turns out to be worse is still rolled back."""
    _steer(session, "pause", as_json)


@command("resume", example="trimtab resume --env production")
@environment
def resume(session: Session, as_json: bool) -> None:
    """It goes on at its present step."""
    _steer(session, "resume", as_json)


@command("abort", example="trimtab abort --env production")
@environment
def abort(session: Session, as_json: bool) -> None:
    """Traffic returns first, the state repository says so next."""
    _steer(session, "abort", as_json)


@command("rollback", example="trimtab rollback\ntrimtab rollback 3fa9c1d2 --env production")
@environment
@click.argument("release", required=False, metavar="[RELEASE]")
def rollback(session: Session, release: str | None, as_json: bool) -> None:
    """RELEASE is a digest or its beginning (at least 4 digits); without it: the one before the live one."""
    show_accepted(session.client.rollback(session.app, session.environment, release), as_json)


@command("cancel", example="trimtab cancel 12")
@application
@click.argument("number", metavar="RUN", type=click.IntRange(min=1))
def cancel(session: Session, number: int, as_json: bool) -> None:
    """Its steps are stopped; nothing is released."""
    show_accepted(session.client.cancel(session.app, number), as_json)


def _steer(session: Session, word: RolloutCommand, as_json: bool) -> None:
    show_accepted(session.client.steer(session.app, session.environment, word), as_json)
