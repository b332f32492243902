"""What the applications and environments say themselves: problems, holds, a configuration that cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from trimtab.adapters.git import GitSource
from trimtab.app.doctor.place import ANSWER_S, Place
from trimtab.config.loading import load
from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.facts import Change
from trimtab.core.model.identity import short
from trimtab.core.say import count, duration
from trimtab.views.findings import Finding
from trimtab.views.model import AppView, EnvironmentView

NAME = "environments"
CONFIGURATION = "trimtab.yaml"


def look(place: Place) -> Iterator[Finding]:
    apps = place.board.apps()
    source = GitSource(place.home / "git", ANSWER_S)
    wrong = False
    for app in apps:
        for finding in (*judge(app, place.now), *_configuration(source, app)):
            wrong = wrong or finding.is_wrong
            yield finding
    if not wrong:
        places = sum(len(app.environments) for app in apps)
        yield Finding(NAME, "ok", f"{count(len(apps), 'application')} with {count(places, 'environment')}, no problem.")


def judge(app: AppView, now: float) -> Iterator[Finding]:
    """What the views show: problems, and what holds deployments back because somebody wanted it so."""
    for problem in app.problems:
        yield _said(problem, f"application {app.name}")
    for environment in app.environments:
        name = f"{app.name}/{environment.name}"
        for problem in environment.problems:
            yield _said(problem, name)
        for what, do in _holds(environment, now):
            yield Finding(NAME, "note", f"{name} is {what}", "So newer releases wait; that is no fault.", do, name)


def _said(problem: Problem, name: str) -> Finding:
    message = f"{name}: {problem.message}".rstrip(".") + "."
    return Finding(NAME, "error", message, "", problem.hint or "`trimtab status` shows it", problem.where or name)


def _holds(environment: EnvironmentView, now: float) -> Iterator[tuple[str, str]]:
    if environment.pinned is not None:
        yield f"pinned to {short(environment.pinned)}.", "`trimtab unpin` lets newer ones in"
    if environment.frozen:
        until = f" for another {duration(environment.frozen_until - now)}" if environment.frozen_until else ""
        yield f"frozen{until}.", "`trimtab thaw` ends it"
    if environment.held:
        yield f"waiting: {environment.held.rstrip('.')}.", "`trimtab status` tells what is held"
    if environment.rollout is not None and environment.rollout.status == "paused":
        yield (
            f"in the middle of a rollout that is paused: {environment.rollout.reason.rstrip('.')}.",
            "`trimtab resume`",
        )


def _configuration(source: GitSource, app: AppView) -> Iterator[Finding]:
    """Whether the newest commit can be deployed at all."""
    if app.head is None:
        return
    try:
        content = asyncio.run(source.read(app.name, app.head.commit, CONFIGURATION))
        if content is None:
            raise TrimtabError(Problem("config-missing", "there is none", "`trimtab init` writes one"))
        load(content, CONFIGURATION)
    except TrimtabError as error:
        yield judge_configuration(app.name, app.head, error.problems)


def judge_configuration(app: str, head: Change, problems: tuple[Problem, ...]) -> Finding:
    first = problems[0]
    what = f"{CONFIGURATION} of {app} at its head ({head.commit[:8]}) cannot be used: {first.message.rstrip('.')}."
    more = f"and {count(len(problems) - 1, 'more problem')}; " if len(problems) > 1 else ""
    why = f"{more}the change by {head.actor} is not deployed, what is live stays."
    return Finding(
        NAME, "error", what, why[0].upper() + why[1:], first.hint or "`trimtab validate`", first.where or app
    )
