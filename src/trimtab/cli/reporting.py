"""How errors are told, and the exit codes that commands end with."""

from __future__ import annotations

import click

from trimtab.core.errors import TrimtabError

WRONG, USAGE, INFRASTRUCTURE, INTERRUPTED = 1, 2, 75, 130


def report(error: TrimtabError) -> None:
    """Each problem: what is wrong, where, and what to do next."""
    from trimtab.cli.plain import clean

    for problem in error.problems:
        click.echo(f"error: {clean(problem.message)}", err=True)
        if problem.where:
            click.echo(f"  at {clean(problem.where)}", err=True)
        if problem.hint:
            click.echo(f"  hint: {clean(problem.hint)}", err=True)
