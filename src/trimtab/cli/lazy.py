"""Groups that import a command only when it is called for."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from trimtab.cli.catalogue import Entry


class LazyGroup(click.Group):
    """A group over a part of the catalogue: sections, each with its commands."""

    def __init__(self, name: str, sections: dict[str, dict[str, Entry]], **settings: object) -> None:
        super().__init__(name, **settings)  # type: ignore[arg-type]
        self._sections = sections
        self._entries = {name: entry for commands in sections.values() for name, entry in commands.items()}

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self._entries)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry.place.split(":")
        command: click.Command = getattr(import_module(f"trimtab.cli.{module}"), attribute)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self._entries)
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), entry.summary) for name, entry in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        mine = [
            CompletionItem(name, help=entry.summary)
            for name, entry in self._entries.items()
            if name.startswith(incomplete)
        ]
        return [*mine, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = _nearest(args[0], list(self._entries))
            if near:
                raise click.UsageError(f"{error.message.rstrip('.')}; did you mean {near!r}?", ctx) from None
            raise


def _nearest(word: str, known: list[str]) -> str | None:
    from difflib import get_close_matches  # only a typing error has to wait for it

    return next(iter(get_close_matches(word, known, n=1)), None)
