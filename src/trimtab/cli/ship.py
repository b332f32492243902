"""`trimtab export` and `trimtab push`: they work on the folder itself, whether a controller runs or not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from trimtab.cli.command import command
from trimtab.cli.find import existing_home
from trimtab.cli.folder import HOME, named_home
from trimtab.cli.output import show
from trimtab.cli.pictures.shipping import shipped_picture

_RELEASE = click.argument("release", metavar="RELEASE")


@command(
    "export",
    example="trimtab export 3f2a9c1b7d04 release.tar\ntrimtab export 3f2a9c1b7d04 out/ && skopeo inspect oci:out",
)
@_RELEASE
@click.argument("target", metavar="DIR|FILE.tar", type=click.Path(path_type=Path))
@click.option("--tag", default="", metavar="TAG", help="The name that the image has in the layout.")
@HOME
def export(release: str, target: Path, tag: str, home: str | None, as_json: bool) -> None:
    """As an OCI image layout: a new folder, or a tar archive of one. Each part is a layer, and the configuration is the
    release's manifest, whose digest is its name. The same release gives the same bytes anywhere."""
    from trimtab.app.shipping import export as write

    with _progress() as told:
        made = write(named_home(home) or existing_home(Path.cwd()), release, target, tag, told)
    show(made, lambda _, __: shipped_picture(made, "written"), as_json=as_json)


@command("push", example="trimtab push 3f2a9c1b7d04 ghcr.io/acme/assistant:latest")
@_RELEASE
@click.argument("reference", metavar="HOST/REPOSITORY[:TAG]")
@click.option("--plain-http", is_flag=True, help="Without TLS, which registries on this machine are reached by anyway.")
@HOME
def push(release: str, reference: str, plain_http: bool, home: str | None, as_json: bool) -> None:
    """To an OCI registry. What it has is not sent again, an upload that was cut off goes on where it was, and what it
    says that it has is compared. Logins are those of `docker login`, or TRIMTAB_REGISTRY_USER and
    TRIMTAB_REGISTRY_PASSWORD."""
    from trimtab.app.shipping import push as send

    with _progress() as told:
        home_folder = named_home(home) or existing_home(Path.cwd())
        made = send(home_folder, release, reference, plain_http=plain_http, told=told)
    show(made, lambda _, __: shipped_picture(made, "pushed"), as_json=as_json)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each part on a terminal; a line for each that is done elsewhere. Both on stderr."""
    if not sys.stderr.isatty():
        yield _lines
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield told


def _lines(what: str, done: int, total: int) -> None:
    from trimtab.core.say import size

    if done == total:
        click.echo(f"{what}: {size(total)}", err=True)
