"""Writes the reference page of the command line from the commands themselves:

python -m trimtab.cli.reference > docs/reference/cli.md
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from trimtab.cli.catalogue import GROUPS, SECTIONS
from trimtab.cli.main import root

_BEGINNING = """\
# The command line

<!-- Written by `python -m trimtab.cli.reference`; a test fails when it is not current. -->

Data goes to stdout, talk to stderr, so that `trimtab ... --json | jq` always works. Exit codes: 0 when all is fine,
1 when something is wrong or was refused, 2 when a command was used wrongly, 130 when it was interrupted.

`--json`: every command prints JSON instead of text when asked to.

`--url`, `--token`, `--home`: which server. Left out: the variables `TRIMTAB_URL` and `TRIMTAB_TOKEN`; else the folder
in which `trimtab up` runs, which is `TRIMTAB_HOME` or the nearest `.trimtab/` upwards from the working directory. They
may stand before the command's name, too: `trimtab --home DIR status`.

`--app`, `-a`: which application. Left out: `app:` of the nearest `trimtab.yaml` upwards; else the only one there is.

`--env`, `-e`: which environment. Left out: the one with a rollout under way, if it is the only one; else the last,
production.

Commands that steer are recorded with the name of the user, or with `TRIMTAB_ACTOR`.

Colour only underlines what a glyph and a word say. There is none with `NO_COLOR`, in pipes and in files; there,
`COLUMNS` sets the width (120).
"""
_COMMON = ("as_json", "url", "token", "home", "app", "environment")
"""Options whose meaning is told once, at the beginning."""


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_BEGINNING, *_sections()])


def documented() -> Iterator[tuple[str, click.Command]]:
    """Every command by the name it is typed with."""
    context = click.Context(root)
    for commands in SECTIONS.values():
        for name in commands:
            command = root.get_command(context, name)
            assert command is not None
            yield name, command
            if isinstance(command, click.Group):
                for member in GROUPS[name]:
                    inner = command.get_command(context, member)
                    assert inner is not None
                    yield f"{name} {member}", inner


def _sections() -> Iterator[str]:
    titles = {next(iter(commands)): title for title, commands in SECTIONS.items()}
    for name, command in documented():
        if name in titles:
            yield f"## {titles[name]}\n"
        yield from _command(name, command)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"trimtab {name}")
    yield f"### trimtab {name}\n"
    yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        yield " ".join(paragraph.split()) + "\n"
    own = [each for each in command.params if isinstance(each, click.Option) and each.name not in _COMMON]
    rows = [f"| `{said[0]}` | {said[1]} |" for option in own if (said := option.get_help_record(context))]
    if rows:
        yield "| option | meaning |\n|---|---|\n" + "\n".join(rows) + "\n"
    common = [f"`{each.opts[0]}`" for each in command.params if each.name in _COMMON and each not in own]
    yield f"{'Also' if rows else 'Options'}: {', '.join(common)}.\n"
    example = (command.epilog or "").removeprefix("\b\nExample:\n")
    yield f"```sh\n{cleandoc(example)}\n```\n"


if __name__ == "__main__":
    click.echo(page(), nl=False)
