"""Where the command line begins: the root command, and how every error ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from trimtab.cli.catalogue import SECTIONS
from trimtab.cli.lazy import LazyGroup
from trimtab.cli.options import SERVER_OPTIONS
from trimtab.cli.reporting import INTERRUPTED, WRONG, report
from trimtab.core.errors import TrimtabError


@click.pass_context
def _begin(context: click.Context, /, show_version: bool, **_: str | None) -> None:
    if show_version:
        from trimtab import __version__

        click.echo(f"trimtab {__version__}")
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


root = LazyGroup(
    "trimtab",
    SECTIONS,
    callback=_begin,
    params=[
        *(click.Option(names, **settings) for names, settings in SERVER_OPTIONS),
        click.Option(["--version", "show_version"], is_flag=True, help="Show the version and exit."),
    ],
    help="Continuous deployment for LLM applications: pipeline, release, canary, verdict.",
    epilog="\b\nExample:\n  trimtab init && trimtab up\n\n`trimtab COMMAND --help` tells more about a command.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code: 0 fine, 1 something is wrong or was refused, 2 wrongly used, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no sign for a glyph shows a question mark, not an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = root.main(arguments, prog_name="trimtab", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except TrimtabError as error:
        report(error)
        return WRONG
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return WRONG


def _forget_stdout() -> None:
    """Nobody reads any more: let the interpreter's last flush go nowhere instead of complaining."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
