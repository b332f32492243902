"""`trimtab rerun`"""

from __future__ import annotations

import click

from trimtab.cli.command import application, command
from trimtab.cli.output import show_accepted
from trimtab.cli.session import Session
from trimtab.core.errors import failure


@command("rerun", example="trimtab rerun\ntrimtab rerun 12 --step test\ntrimtab rerun 9 --all --deploy")
@application
@click.argument("number", metavar="[RUN]", required=False, type=click.IntRange(min=1))
@click.option("--failed", is_flag=True, help="What did not pass; that is what is done without options.")
@click.option(
    "--step", "steps", multiple=True, metavar="NAME", help="This step afresh, with all that need it; repeatable."
)
@click.option("--all", "everything", is_flag=True, help="All steps afresh.")
@click.option("--deploy", is_flag=True, help="Release it although its branch has moved on since.")
def rerun(
    session: Session,
    number: int | None,
    failed: bool,
    steps: tuple[str, ...],
    everything: bool,
    deploy: bool,
    as_json: bool,
) -> None:
    """RUN: a run that has ended [the newest]. What passed in it is taken over and not run again. Where its branch has
    moved on since, it makes no release unless you say --deploy; where it is of a pull request, it never does."""
    if sum((failed, bool(steps), everything)) > 1:
        raise click.UsageError("give one of --failed, --step and --all")
    if number is None:
        newest = session.client.runs(session.app, limit=1)
        if not newest:
            raise failure("not-found", f"{session.app} has had no run yet", "a push starts one")
        number = newest[0].number
    accepted = session.client.rerun(session.app, number, steps=steps, everything=everything, deploy=deploy)
    show_accepted(accepted, as_json)
