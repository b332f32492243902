"""`trimtab status`"""

from __future__ import annotations

from dataclasses import replace

from trimtab.cli.command import application, command
from trimtab.cli.output import show
from trimtab.cli.pictures.status import status_picture
from trimtab.cli.session import Session
from trimtab.core.errors import failure


@command("status", example="trimtab status\ntrimtab status --app shop --json")
@application
def status(session: Session, as_json: bool) -> None:
    """Every application (or the one of --app) as a tree: the newest run, and for each environment the live release,
    the rollout under way with its weight, evidence and reason, problems and instances."""
    view = session.client.status()
    wanted = session.wanted_app
    if wanted is not None:
        view = replace(view, apps=tuple(app for app in view.apps if app.name == wanted))
        if not view.apps:
            raise failure("not-found", f"there is no application {wanted}", "`trimtab apps` lists them")
    show(view, lambda now, width: status_picture(view, now, width), as_json=as_json)
