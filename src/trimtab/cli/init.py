"""`trimtab init`"""

from __future__ import annotations

import re
from pathlib import Path

import click

from trimtab.cli.command import command
from trimtab.cli.find import CONFIGURATION, FOLDER
from trimtab.cli.output import say, show_json
from trimtab.core.errors import failure
from trimtab.core.model.identity import NAME_PATTERN, is_name


@command("init", example="trimtab init\ntrimtab init --app shop")
@click.option("--app", "-a", "name", metavar="NAME", help="Name of the application [that of the folder].")
@click.option("--force", is_flag=True, help="Replace a trimtab.yaml that is there.")
def init(name: str | None, force: bool, as_json: bool) -> None:
    """With the JSON Schema for editors, and .trimtab/ added to .gitignore. An existing file is left alone."""
    from trimtab.config import template

    folder = Path.cwd()
    app = name or guess_name(folder.name)
    if not is_name(app):
        hint = f"lower-case letters, digits and hyphens: {NAME_PATTERN}"
        raise failure("app-name", f"{app!r} cannot name an application", hint)
    place = folder / CONFIGURATION
    if place.exists() and not force:
        hint = "edit it, check it with `trimtab validate`, or replace it with --force"
        raise failure("exists", "there is a configuration already", hint, str(place))
    place.write_text(template(app))
    written = [str(place), _write_schema(folder), *_ignore(folder)]
    if as_json:
        show_json({"app": app, "written": written})
        return
    for path in written:
        click.echo(path)
    say(
        "\nNext:\n"
        f"  1. edit {CONFIGURATION}: the service's command is the only thing that has to be right\n"
        "  2. trimtab validate\n"
        f"  3. git add {CONFIGURATION} .gitignore && git commit -m 'Deploy with Trimtab'\n"
        "  4. trimtab up, and in another terminal: git push trimtab main"
    )


def guess_name(folder: str) -> str:
    """A folder's name as an application's: ``My_Shop.v2`` -> ``my-shop-v2``."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:40].strip("-") or "app"


def _write_schema(folder: Path) -> str:
    """Write the schema that the configuration's first line names."""
    from trimtab.config import SCHEMA_PATH, schema_text

    path = folder / SCHEMA_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schema_text())
    return str(path)


def _ignore(folder: Path) -> list[str]:
    """Keep Trimtab's folder (its token, its database) out of Git."""
    path = folder / ".gitignore"
    before = path.read_text() if path.exists() else ""
    if f"{FOLDER}/" in (line.strip() for line in before.splitlines()):
        return []
    gap = "" if not before or before.endswith("\n") else "\n"
    path.write_text(f"{before}{gap}{FOLDER}/\n")
    return [str(path)]
