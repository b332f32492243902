"""`trimtab validate`"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from trimtab.cli.command import command
from trimtab.cli.find import CONFIGURATION
from trimtab.cli.output import say, show_json
from trimtab.cli.plain import clean
from trimtab.config.loading import load
from trimtab.config.templates import NotRead
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.template import TemplateAt
from trimtab.core.say import count
from trimtab.parts import check


@command("validate", example="trimtab validate\ntrimtab validate deploy/trimtab.yaml")
@click.argument("file", required=False, default=CONFIGURATION, type=click.Path(path_type=Path))
@click.pass_context
def validate(context: click.Context, file: Path, as_json: bool) -> None:
    """One line for each problem, as compilers write them: file:line:column, what is wrong, and what to do about it.
    With --json: a list of problems, empty when there are none. FILE: trimtab.yaml of this folder. Templates of steps
    are read beside it; those of other repositories are looked at when a run begins. Prompts, configuration and flags
    of the release are looked at, too; those that a step makes are looked at when a release is cut."""
    templates, absent = _Templates(file.parent), list[str]()
    problems = _problems(file, templates, absent)
    if as_json:
        show_json(problems)
    for problem in () if as_json else problems:
        click.echo(f"{problem.where}: {clean(problem.message)} [{problem.code}]")
        if problem.hint:
            click.echo(f"  hint: {clean(problem.hint)}")
    for at in templates.elsewhere:
        say(f"{clean(str(at))}: not looked at from here")
    for path in absent:
        say(f"{clean(path)}: not there yet, looked at when a release is cut")
    if problems:
        say(f"{file}: {count(len(problems), 'problem')}")
        context.exit(1)
    say(f"{file}: fine")


class _Templates:
    """Reads templates beside the file. `elsewhere`: those that are in other repositories."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.elsewhere: list[TemplateAt] = []

    def __call__(self, at: TemplateAt) -> bytes | None:
        if at.repository:
            self.elsewhere.append(at)
            raise NotRead
        try:
            return (self._folder / at.path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise failure("unreadable", f"it cannot be read: {error.strerror}", where=at.path) from None


def _problems(file: Path, templates: _Templates, absent: list[str]) -> tuple[Problem, ...]:
    """`absent`: gets the files that a step has to make yet."""
    try:
        specification = load(file.read_bytes(), str(file), templates)
    except TrimtabError as error:
        return error.problems
    except FileNotFoundError:
        hint = "`trimtab init` writes one"
        raise failure("not-found", "there is no such file", hint, str(file)) from None
    except OSError as error:
        raise failure("unreadable", f"it cannot be read: {error.strerror}", where=str(file)) from None
    made_by_steps = any(step.outputs for step in specification.steps)
    checked = check(file.parent, specification.release, may_be_absent=made_by_steps)
    absent += checked.absent
    return tuple(replace(problem, where=str(file.parent / problem.where)) for problem in checked.problems)
