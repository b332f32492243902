"""`trimtab logs`"""

from __future__ import annotations

import json
import sys

import click

from trimtab.cli.command import command, environment
from trimtab.cli.output import say
from trimtab.cli.plain import clean_line, instance_name
from trimtab.cli.session import Session
from trimtab.cli.streams import Line, Logs
from trimtab.core.errors import failure
from trimtab.views.model import RunView, StepView


@command(
    "logs",
    example="trimtab logs\ntrimtab logs 12 test --tail 100\ntrimtab logs --env production --follow\n"
    "trimtab logs 12 --grep 'error|warning' -i",
)
@environment
@click.argument("first", required=False, metavar="[RUN | INSTANCE | GATE]")
@click.argument("step", required=False, metavar="[STEP]")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written, until the end or Ctrl-C.")
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    default=0,
    show_default=False,
    metavar="N",
    help="Only the last N lines of each.",
)
@click.option(
    "--grep", default="", metavar="PATTERN", help="Only lines in which this regular expression is found, with numbers."
)
@click.option("--ignore-case", "-i", is_flag=True, help="With --grep: upper and lower case are the same.")
def logs(
    session: Session,
    first: str | None,
    step: str | None,
    follow: bool,
    tail: int,
    grep: str,
    ignore_case: bool,
    as_json: bool,
) -> None:
    """Of a run's steps: RUN is its number (without: the newest run), STEP the name of one. With --env of an
    environment's instances: INSTANCE is the name of one. GATE: as the rollout names it. Lines of several begin with the
    name of theirs. With --json: one JSON object a line."""
    reading = Logs(session.client, follow, tail, grep, ignore_case=ignore_case)
    if first is not None and first.startswith("gate/"):
        names, lines = [first], reading.of_processes({first: first})
    elif session.wanted_environment is not None:
        if step is not None:
            raise click.UsageError("with --env, name an instance only")
        processes = _instances(session, first)
        names, lines = list(processes), reading.of_processes(processes)
    else:
        run = _run(session, first)
        steps = _steps(run, step)
        if not follow and not any(each.process for each in steps):
            say(f"run {run.number} has started no step yet")
        names, lines = [each.name for each in steps], reading.of_run(run, step)
    width = max(map(len, names)) if len(names) > 1 else 0
    for line in lines:
        sys.stdout.write(_json(line) if as_json else _text(line, width))
        if follow:
            sys.stdout.flush()
    sys.stdout.flush()


def _json(line: Line) -> str:
    fields: dict[str, str | int] = {"from": line.origin, "line": line.text}
    if line.number is not None:
        fields["number"] = line.number
    # In ASCII: so nothing in it steers a terminal either.
    return json.dumps(fields) + "\n"


def _text(line: Line, width: int) -> str:
    """`width`: of the names in front of the lines; 0: there is only one."""
    origin = f"{line.origin.ljust(width)} | " if width else ""
    number = f"{line.number}: " if line.number is not None else ""
    return f"{origin}{number}{clean_line(line.text)}\n"


def _run(session: Session, number: str | None) -> RunView:
    if number is None:
        newest = session.client.runs(session.app, limit=1)
        if not newest:
            raise failure("not-found", f"{session.app} has had no run yet", "a push starts one")
        return newest[0]
    if not number.isdigit():
        raise click.UsageError(f"RUN is a number, not {number!r}; instances are named with --env")
    return session.client.run(session.app, int(number))


def _steps(run: RunView, wanted: str | None) -> tuple[StepView, ...]:
    if wanted is None:
        return run.steps
    steps = tuple(step for step in run.steps if step.name == wanted)
    if not steps:
        names = ", ".join(step.name for step in run.steps) or "none"
        raise failure("not-found", f"run {run.number} has no step {wanted}", f"its steps: {names}")
    return steps


def _instances(session: Session, wanted: str | None) -> dict[str, str]:
    """The logs of the environment's instances, or of the one that is wanted, by their names.

    Without a name: those that run; when none does, the one that ran last.
    """
    place = f"{session.app}/{session.environment}"
    here = session.client.status().instances.get(place, ())
    running = {each.log for each in here}
    logs = session.client.instance_logs(session.app, session.environment)
    known = {instance_name(log, place): log for log in logs}
    if wanted is not None:
        # What several releases share has a name for each of them, and one log.
        known = {instance_name(each.id, place): each.log for each in here} | known
    shown = running or set(logs[:1])
    chosen = {name: log for name, log in known.items() if (log in shown if wanted is None else name == wanted)}
    if not chosen:
        what = f"{place} has no instance {wanted}" if wanted else f"{place} has no instance"
        raise failure("not-found", what, f"its instances: {', '.join(known) or 'none'}")
    return chosen
