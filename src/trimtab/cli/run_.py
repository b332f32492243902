"""`trimtab run`: the pipeline of the working tree, on this machine and without a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trimtab.cli.command import command
from trimtab.cli.find import CONFIGURATION, git_top_level
from trimtab.cli.output import say, show
from trimtab.cli.reporting import INFRASTRUCTURE, USAGE, WRONG, report
from trimtab.core.errors import TrimtabError

if TYPE_CHECKING:
    from trimtab.app.local import Outcome, Place, Wishes

_CODES = {"passed": 0, "failed": WRONG, "invalid": USAGE, "lost": INFRASTRUCTURE}
_ASKED_WRONGLY = ("step-unknown", "env-file")


@command(
    "run", example="trimtab run\ntrimtab run test --fresh\ntrimtab run --list\ntrimtab run --release --env-file .env"
)
@click.argument("steps", nargs=-1, metavar="[STEP]...")
@click.option("--list", "only_list", is_flag=True, help="Say which steps would run, and why; run none.")
@click.option("--fresh", is_flag=True, help="Run everything, whatever is in the cache.")
@click.option("--keep-going", "-k", is_flag=True, help="Let a failed step stop only those that need it.")
@click.option("--no-sandbox", is_flag=True, help="Isolate no step, and keep nothing in the cache.")
@click.option("--release", is_flag=True, help="Cut the release, too, and print its digest; it goes nowhere.")
@click.option("--branch", metavar="NAME", help="As if on this branch [the one that is checked out].")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Secrets as lines NAME=VALUE; they come before all others.",
)
@click.option("--follow", "-f", is_flag=True, help="With --json: a JSON object a line, as it happens.")
@click.pass_context
def run(
    context: click.Context,
    steps: tuple[str, ...],
    only_list: bool,
    fresh: bool,
    keep_going: bool,
    no_sandbox: bool,
    release: bool,
    branch: str | None,
    env_file: Path | None,
    follow: bool,
    as_json: bool,
) -> None:
    """With all changes that are not committed yet, and new files that are not ignored. STEP: only these steps and what
    they need. Same decisions, sandbox and keys as on the server: what passed once is not run again.
    Nothing is deployed. Exit code: 0 passed, 1 failed, 2 wrong usage or configuration, 75 not the pipeline's fault,
    130 interrupted."""
    _refuse_nonsense(steps, release, no_sandbox, follow, as_json)
    from trimtab.app.local import Place, Wishes, env_file_secrets

    place = Place.of(git_top_level(Path.cwd()) or _folder_with_configuration(Path.cwd()), os.environ)
    try:
        secrets = env_file_secrets(env_file) if env_file is not None else {}
        wishes = Wishes(steps, fresh, keep_going, not no_sandbox, release, branch, secrets)
        if only_list:
            _show_list(place, wishes, as_json)
            return
        outcome = _run(place, wishes, follow, as_json)
    except TrimtabError as error:
        report(error)
        context.exit(_code_of(error))
    context.exit(128 + outcome.stopped_by if outcome.stopped_by is not None else _CODES.get(outcome.run.status, WRONG))


def _refuse_nonsense(steps: tuple[str, ...], release: bool, no_sandbox: bool, follow: bool, as_json: bool) -> None:
    if release and steps:
        raise click.UsageError("a release is made of what all steps give: leave out STEP or --release")
    if release and no_sandbox:
        raise click.UsageError("the server would isolate the steps, and make another release: leave out --no-sandbox")
    if follow and not as_json:
        raise click.UsageError("--follow goes with --json; without it, output is shown as it comes anyway")


def _run(place: Place, wishes: Wishes, follow: bool, as_json: bool) -> Outcome:
    from trimtab.app.local import run_steps
    from trimtab.cli.local_output import shown

    with shown(as_json=as_json, follow=follow) as screen:
        outcome = run_steps(place, wishes, screen, say)
        screen.ended(outcome)
    return outcome


def _show_list(place: Place, wishes: Wishes, as_json: bool) -> None:
    from trimtab.app.local import list_steps
    from trimtab.cli.pictures.local import listed_table

    found = list_steps(place, wishes, say)
    show(found, lambda _now, _width: listed_table(found), as_json=as_json)


def _folder_with_configuration(folder: Path) -> Path:
    """Where there is no Git repository: the nearest folder upwards with a trimtab.yaml, else this one."""
    return next((f for f in (folder, *folder.parents) if (f / CONFIGURATION).is_file()), folder)


def _code_of(error: TrimtabError) -> int:
    code = error.problem.code
    return USAGE if code.startswith("config-") or code in _ASKED_WRONGLY else INFRASTRUCTURE
