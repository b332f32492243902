"""`trimtab rollout watch`"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

import click
from rich.console import Console, RenderableType
from rich.live import Live

from trimtab.cli.command import command, environment
from trimtab.cli.output import console, pipe_width, say, show_json, show_lines
from trimtab.cli.pictures.rollout import rollout_change, rollout_picture
from trimtab.cli.session import Session
from trimtab.core.errors import failure
from trimtab.views.model import OverviewView, RolloutView

FRAMES_PER_S = 4
EVIDENCE_EVERY_S = 10.0


@command("rollout watch", example="trimtab rollout watch --env production")
@environment
@click.pass_context
def watch(context: click.Context, session: Session, as_json: bool) -> None:
    """Redraws in place on a terminal; elsewhere prints a line for each change, with --json one JSON object a line.
    Ends with the rollout: exit code 0 if it was promoted, else 1. Right after a push it waits for the rollout to come.
    When none is under way or on its way: shows how the last one ended."""
    say(f"{session.app}/{session.environment} at {session.client.url}; Ctrl-C stops watching, not the rollout")
    screen = console()
    status = ""
    with _shown(screen, as_json) as show:
        for view in changes(session):
            show(view)
            status = view.status
    if status != "promoted":
        context.exit(1)


@contextmanager
def _shown(screen: Console, as_json: bool) -> Iterator[Callable[[RolloutView], None]]:
    """What to do with each change, as fits where the output goes."""
    if as_json:
        yield lambda view: show_json(view, indent=None)
    elif screen.is_terminal and not screen.is_dumb_terminal:
        with _Frame(screen) as frame:
            yield frame.show
    else:
        yield _Lines().show


class _Frame(AbstractContextManager["_Frame"]):
    """The picture on a terminal, drawn anew several times a second, so that times go on between changes."""

    def __init__(self, screen: Console) -> None:
        self._view: RolloutView | None = None
        self._screen = screen
        self._live = Live(console=screen, get_renderable=self._draw, refresh_per_second=FRAMES_PER_S)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, view: RolloutView) -> None:
        self._view = view
        self._live.refresh()

    def _draw(self) -> RenderableType:
        return rollout_picture(self._view, time.time(), self._screen.width) if self._view else ""


class _Lines:
    """For a log: a line for each new status and step, one now and then for new evidence, the picture at the end."""

    def __init__(self) -> None:
        self._last: tuple[str, int | None] | None = None
        self._quiet_until = 0.0

    def show(self, view: RolloutView) -> None:
        now = time.time()
        if view.ended:
            show_lines(rollout_picture(view, now, pipe_width()))
        elif (view.status, view.step) != self._last or now >= self._quiet_until:
            self._last, self._quiet_until = (view.status, view.step), now + EVIDENCE_EVERY_S
            show_lines(rollout_change(view, now))


def on_its_way(view: OverviewView, place: str) -> bool:
    """Whether a rollout of the environment is about to begin: its release is being made, or moves elsewhere first."""
    here = next((rollout for rollout in view.rollouts.get(place, ())), None)
    if here is not None and not here.ended:
        return False
    newest = [rollout for rollouts in view.rollouts.values() for rollout in rollouts[:1]]
    elsewhere = any(not rollout.ended for rollout in newest)
    return elsewhere or (view.app.run is not None and view.app.run.status == "running")


def changes(session: Session) -> Iterator[RolloutView]:
    """The newest rollout of the environment as it is now and after each change, until it has ended."""
    client, app, place = session.client, session.app, session.environment
    while on_its_way(client.overview(app, limit=1), place):
        time.sleep(1.0 / FRAMES_PER_S)
    # Asked before the view, so that nothing that happens in between is missed.
    position = client.position()
    newest = client.rollouts(app, place, limit=1)
    if not newest:
        hint = "a release that passes its pipeline starts one; see `trimtab runs`"
        raise failure("not-found", f"{app}/{place} has had no rollout yet", hint)
    view = newest[0]
    yield view
    if view.ended:
        return
    mine = f"rollout/{app}/{place}/{view.number}"
    for entry in client.events(position):
        if entry.object != mine:
            continue
        known = {rollout.number: rollout for rollout in client.rollouts(app, place, limit=10)}
        if known.get(view.number, view) != view:
            view = known[view.number]
            yield view
        if view.ended:
            return
