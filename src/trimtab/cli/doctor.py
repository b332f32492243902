"""`trimtab doctor`"""

from __future__ import annotations

from pathlib import Path

import click

from trimtab.cli.command import command
from trimtab.cli.find import existing_home
from trimtab.cli.folder import HOME, named_home
from trimtab.cli.output import show
from trimtab.cli.pictures.doctor import doctor_picture
from trimtab.core.errors import failure
from trimtab.views.findings import CHECKS


@command("doctor", example="trimtab doctor\ntrimtab doctor gateway ports\ntrimtab doctor --json")
@click.argument("checks", metavar="[CHECK]...", nargs=-1, type=click.Choice(CHECKS))
@HOME
@click.pass_context
def doctor(context: click.Context, checks: tuple[str, ...], home: str | None, as_json: bool) -> None:
    """Looks at the folder, the processes and the ports themselves, so it works whether a controller runs or not. It
    changes nothing, and takes three seconds at most. What was looked at and is well has a line each. Exit code 1 when
    an error or a warning was found.

    CHECK: controller, gateway, ports, instances, environments, engine, database, git, artifacts, disk, files, clock,
    programs, sandbox, backup [all]."""
    from trimtab.app.doctor import examine

    place = named_home(home) or existing_home(Path.cwd())
    if not place.is_dir():
        raise failure("not-found", "there is no such folder", "`trimtab up` makes it", str(place))
    found = examine(place, checks or CHECKS)
    show(found, lambda _, __: doctor_picture(found), as_json=as_json)
    context.exit(1 if any(finding.is_wrong for finding in found) else 0)
