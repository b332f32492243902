"""`trimtab completion`"""

from __future__ import annotations

import json

import click
from click.shell_completion import get_completion_class

from trimtab.cli.command import command


@command(
    "completion",
    example='eval "$(trimtab completion bash)"\ntrimtab completion fish > ~/.config/fish/completions/trimtab.fish',
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Source it, or write it to where the shell looks for completions."""
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "trimtab", "_TRIMTAB_COMPLETE").source()
    click.echo(json.dumps({"shell": shell, "script": script}) if as_json else script)
