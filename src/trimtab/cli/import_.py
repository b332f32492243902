"""`trimtab import`: the configurations of other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trimtab.cli.command import command, given_before, group
from trimtab.cli.find import CONFIGURATION
from trimtab.cli.output import pipe_width, say, show_json
from trimtab.core.errors import failure

if TYPE_CHECKING:
    from trimtab.imports.argo_rollouts import Imported, Source

_MOST_BYTES = 1024 * 1024 + 1
"""What is read of a file: one byte more than may be in it."""


@group("import", example="trimtab import argo-rollouts rollout.yaml > trimtab.yaml")
def import_group(context: click.Context, as_json: bool) -> None:  # noqa: ARG001
    """What could not be taken over is said field by field."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command(
    "import argo-rollouts",
    example="trimtab import argo-rollouts rollout.yaml templates.yaml -o trimtab.yaml\n"
    "kubectl get rollout shop -o yaml | trimtab import argo-rollouts -",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write it there [stdout].")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def argo_rollouts(files: tuple[str, ...], output: Path | None, force: bool, as_json: bool) -> None:
    """Writes what a Rollout says as trimtab.yaml, and tells of every field of the input what became of it: mapped,
    changed (and what differs), or no counterpart (and what to do instead). FILE: YAML with one Rollout, and with the
    AnalysisTemplates and the Deployment that it names; - reads stdin."""
    from trimtab.imports.argo_rollouts import translate

    if output is not None and output.exists() and not force:
        hint = "choose another one, or replace it with --force"
        raise failure("exists", "there is a file already", hint, str(output))
    made = translate([_source(file) for file in files])
    if output is not None:
        _write(output, made.configuration)
    if as_json or given_before("as_json"):
        show_json({"configuration": made.configuration, "fields": made.fields})
        return
    if output is None:
        click.echo(made.configuration, nl=False)
    _report(made, output)


def _source(file: str) -> Source:
    from trimtab.imports.argo_rollouts import Source

    if file == "-":
        return Source("stdin", sys.stdin.buffer.read(_MOST_BYTES))
    try:
        with open(file, "rb") as opened:
            return Source(file, opened.read(_MOST_BYTES))
    except FileNotFoundError:
        raise failure("not-found", "there is no such file", "- reads stdin", file) from None
    except OSError as error:
        raise failure("unreadable", f"it cannot be read: {error.strerror}", where=file) from None


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise failure("unwritable", f"it cannot be written: {error.strerror}", where=str(output)) from None


def _report(made: Imported, output: Path | None) -> None:
    """The table, and the sum of it, to stderr."""
    from trimtab.cli.pictures.imported import imported_lines, summary

    for line in imported_lines(made.fields, pipe_width()):
        say(line)
    say(summary(made.fields))
    if output is not None:
        checked = "" if output.name == CONFIGURATION else f" {output}"
        say(f"{output} written; look at its comments, then: trimtab validate{checked}")
