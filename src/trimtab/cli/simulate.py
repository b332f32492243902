"""`trimtab simulate`"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import click

from trimtab.cli.command import command
from trimtab.cli.find import CONFIGURATION
from trimtab.cli.output import say, show
from trimtab.config.loading import load
from trimtab.core.errors import failure
from trimtab.core.model.specification import EnvironmentSpec, Specification
from trimtab.core.say import duration

LAST = "the last, production"


@command("simulate", example="trimtab simulate --rate 20\ntrimtab simulate --rate 5 --errors 0.3 --picture canary.svg")
@click.argument("file", required=False, default=CONFIGURATION, type=click.Path(path_type=Path))
@click.option("--rate", type=click.FloatRange(0.01, 1e6), default=10.0, metavar="N", help="Requests per second [10].")
@click.option(
    "--errors",
    type=click.FloatRange(0.001, 50.0),
    default=0.5,
    metavar="PCT",
    help="How many fail on the stable release [0.5].",
)
@click.option("--environment", "--env", "-e", "place", metavar="ENV", help=f"Environment [{LAST}].")
@click.option(
    "--users",
    type=click.IntRange(1, 3600),
    metavar="N",
    help="Users of N requests, who fail on all or on none; only errors are simulated.",
)
@click.option(
    "--runs", type=click.IntRange(10, 100_000), default=1000, metavar="N", help="Rollouts of each kind [1000]."
)
@click.option("--seed", type=click.IntRange(0), default=1, metavar="N", help="Another one gives other rollouts [1].")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw it, too: an .svg or a .png.")
def simulate(
    file: Path,
    rate: float,
    errors: float,
    place: str | None,
    users: int | None,
    runs: int,
    seed: int,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Before a rollout starts: how soon a worse release is caught with this traffic, how likely a false alarm is, how
    soon a good one is through, and how often there is no verdict until the deadline. The steps and the analysis are
    those of FILE, trimtab.yaml of this folder; the decisions are made by the rule that makes the real ones."""
    _ensure_numpy()
    from trimtab.cli.pictures.simulate import answers_picture
    from trimtab.simulate import picture as drawing
    from trimtab.simulate.answers import answers
    from trimtab.simulate.rollouts import Load

    if not (math.isfinite(rate) and math.isfinite(errors)):
        raise click.UsageError("--rate and --errors are numbers")
    specification = _specification(file)
    environment = _environment(specification, place)
    if picture is not None:
        drawing.check(picture)
    found = list(answers(environment, Load(rate, errors / 100.0, users or 0), runs, seed))
    what = _what(specification, environment, rate, errors, users, runs)
    value = {"app": specification.app, "environment": environment.name, "runs": runs, "seed": seed, "answers": found}
    show(value, lambda _, __: answers_picture(found, what), as_json=as_json)
    for note in _notes(environment, users):
        say(f"note: {note}")
    if picture is not None:
        drawing.draw(found, what, picture)
        say(f"{picture} drawn")


def _ensure_numpy() -> None:
    if find_spec("numpy") is None:
        hint = "pip install 'trimtab[simulate]'"
        raise failure("no-numpy", "rollouts are simulated with numpy, which is not installed", hint)


def _specification(file: Path) -> Specification:
    try:
        return load(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise failure("not-found", "there is no such file", "`trimtab init` writes one", str(file)) from None
    except OSError as error:
        raise failure("unreadable", f"it cannot be read: {error.strerror}", where=str(file)) from None


def _environment(specification: Specification, name: str | None) -> EnvironmentSpec:
    if name is None:
        return specification.environments[-1]
    found = specification.environment(name)
    if found is None:
        known = ", ".join(each.name for each in specification.environments)
        raise failure("not-found", f"{specification.app} has no environment {name}", f"it has {known}")
    return found


def _what(
    specification: Specification, place: EnvironmentSpec, rate: float, errors: float, users: int | None, runs: int
) -> str:
    from trimtab.core.decide.rollout.words import words_of

    steps = " -> ".join(map(words_of, place.strategy.steps))
    by_users = f" by users of {users} requests" if users else ""
    traffic = f"{rate:g} requests/s{by_users}, {errors:g} % of them fail on the stable release"
    deadline = f"deadline {duration(place.strategy.deadline_s)}"
    return f"{specification.app}/{place.name}: {steps}, {deadline}; {traffic}; {runs:,} rollouts of each kind"


def _notes(place: EnvironmentSpec, users: int | None) -> list[str]:
    """What is taken for granted with this configuration, beside what the guide says."""
    steps, notes = place.strategy.steps, []
    if any(step.gate or step.approve for step in steps):
        notes.append("gates pass and people approve at once")
    if any(step.segments for step in steps):
        notes.append("--rate is taken as that of the requests that take part")
    if place.analysis.metrics:
        notes.append(f"{', '.join(own.name for own in place.analysis.metrics)}: taken as alike on both releases")
    if any(step.experiment and step.experiment.variants for step in steps):
        notes.append("of an experiment only the candidate itself is followed, not its variants")
    if users and place.analysis.unit != "user":
        notes.append("the analysis counts requests, but those of one user fail together: let it count users")
    return notes
