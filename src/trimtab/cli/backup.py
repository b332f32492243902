"""`trimtab backup` and `trimtab restore`: they work on the folder itself, whether a controller runs or not."""

from __future__ import annotations

from pathlib import Path

import click

from trimtab.cli.command import command
from trimtab.cli.find import existing_home, here
from trimtab.cli.folder import HOME, named_home
from trimtab.cli.output import say, show
from trimtab.cli.pictures.backup import backup_picture

_FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


@command("backup", example="trimtab backup /backup/trimtab-2026-11-23.tar.gz")
@_FILE
@HOME
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--with-secrets", is_flag=True, help="With the secrets that were set for steps, and the key that signs releases."
)
def backup(file: Path, home: str | None, force: bool, with_secrets: bool, as_json: bool) -> None:
    """Everything of one moment, in one file, while everything goes on: history, repositories, releases, what runs. The
    API's token is in it, so only you can read the file: keep it as you keep a password. The secrets of steps
    and the key that signs releases are not, unless you say so."""
    from trimtab.app.backup import backup as write
    from trimtab.core.errors import failure

    if file.exists() and not force:
        raise failure("exists", "there is such a file already", "choose another name, or say --force", str(file))
    made = write(named_home(home) or existing_home(Path.cwd()), file, say, secrets=with_secrets)
    show(made, lambda _, __: backup_picture(made, "written"), as_json=as_json)


@command(
    "restore",
    example="trimtab restore /backup/trimtab-2026-11-23.tar.gz\ntrimtab restore FILE --home /var/lib/trimtab",
)
@_FILE
@HOME
@click.option("--database", metavar="URL", help="An empty PostgreSQL database to put the store into [a file in DIR].")
def restore(file: Path, home: str | None, database: str | None, as_json: bool) -> None:
    """Into a folder that is missing or empty; all of FILE is verified before anything is touched. `trimtab up` goes on
    from there: it starts what was live, and lays its routes."""
    from trimtab.app.backup import restore as put_back

    made = put_back(file, named_home(home) or here(Path.cwd()), say, database)
    show(made, lambda _, __: backup_picture(made, "restored"), as_json=as_json)
