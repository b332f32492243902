"""What all commands have in common: help with an example, `--json`, and the options that say what is talked about."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from trimtab.cli.catalogue import GROUPS, summary_of
from trimtab.cli.lazy import LazyGroup
from trimtab.cli.options import SERVER_OPTIONS
from trimtab.cli.session import Session

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


def command(name: str, *, example: str) -> Callable[[Function], click.Command]:
    """A command of the catalogue. Its help: the catalogue's line, the function's docstring, the example."""

    def make(function: Function) -> click.Command:
        with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)
        return click.command(name.rpartition(" ")[2], help=_help(name, function), epilog=_epilog(example))(with_json)

    return make


def group(name: str, *, example: str) -> Callable[[Function], click.Group]:
    """A group of the catalogue, whose function runs when no member is named."""

    def make(function: Function) -> click.Group:
        with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)
        made = click.command(name)(click.pass_context(with_json))
        return LazyGroup(
            name,
            {"Commands": GROUPS[name]},
            help=_help(name, function),
            epilog=_epilog(example),
            invoke_without_command=True,
            callback=made.callback,
            params=made.params,
        )

    return make


def _help(name: str, function: Function) -> str:
    return "\n\n".join(filter(None, (summary_of(name), function.__doc__)))


def _epilog(example: str) -> str:
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return f"\b\nExample:\n{lines}"


def server(function: Function) -> Function:
    """Adds `--url`, `--token` and `--home`; the function gets a `session`."""
    return _session(function, _SERVER)


def application(function: Function) -> Function:
    """`server`, and `--app`."""
    return _session(function, (*_SERVER, _APP))


def environment(function: Function) -> Function:
    """`application`, and `--env`."""
    return _session(function, (*_SERVER, _APP, _ENVIRONMENT))


_OF_SESSION = ("url", "token", "home", "app", "environment")
_SERVER: tuple[Decorator, ...] = tuple(click.option(*names, **settings) for names, settings in SERVER_OPTIONS)
_APP: Decorator = click.option(
    "--app", "-a", metavar="APP", help="Application [that of trimtab.yaml, or the only one]."
)
_ENVIRONMENT: Decorator = click.option(
    "--env", "-e", "environment", metavar="ENV", help="Environment [the one with a rollout, else the last]."
)


def _session(function: Function, options: tuple[Decorator, ...]) -> Function:
    @wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        said = {option: given.pop(option, None) or given_before(option) for option in _OF_SESSION}
        given["as_json"] = given["as_json"] or given_before("as_json") is not None
        with Session(**said) as session:
            return function(*args, session=session, **given)

    decorated: Function = call
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def given_before(option: str) -> Any:
    """An option that was given to a group, before the command's name: ``trimtab --home DIR status``."""
    context = click.get_current_context().parent
    while context is not None:
        if context.params.get(option):
            return context.params[option]
        context = context.parent
    return None
