"""Secrets that Trimtab keeps for steps: they can be set and removed, and never read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, SecretStr

from trimtab.api.queries import found
from trimtab.api.services import Services, Wired
from trimtab.core.errors import failure
from trimtab.core.model.facts import Fact, Recorded, SecretRemoved, SecretSet
from trimtab.core.model.identity import app_object
from trimtab.views.model import Accepted, SecretView


class Secret(BaseModel):
    """The value of a secret: text of 4 characters at least and 64 KiB at most."""

    value: SecretStr


routes = APIRouter(prefix="/api/v1", tags=["steer"])
"""What is kept is in files of the folder only: in no fact, no log and no answer."""


@routes.get("/apps/{app}/secrets")
async def secrets(services: Wired, app: str) -> tuple[SecretView, ...]:
    """The secrets that steps of the application can have from Trimtab itself, without their values."""
    _ensure_known(services, app)
    return tuple(SecretView(kept.name, kept.place, kept.set_at) for kept in services.secret_store.list(app))


@routes.put("/apps/{app}/secrets/{name}", status_code=201)
async def keep(services: Wired, request: Request, app: str, name: str, secret: Secret) -> Accepted:
    """Set a secret, in place of what it was."""
    _ensure_known(services, app)
    services.secret_store.keep(app, name, secret.value.get_secret_value())
    return _done(services, app, SecretSet(name, request.state.actor), f"secret {name} is set")


@routes.delete("/apps/{app}/secrets/{name}")
async def remove(services: Wired, request: Request, app: str, name: str) -> Accepted:
    """Remove a secret. What is in the environment of Trimtab stays."""
    _ensure_known(services, app)
    if not services.secret_store.remove(app, name):
        raise failure("not-found", f"{app} has no secret {name[:80]} that was set", "`trimtab secrets list` names them")
    return _done(services, app, SecretRemoved(name, request.state.actor), f"secret {name} is removed")


def _ensure_known(services: Services, app: str) -> None:
    found(services.board().app(app), f"there is no application {app[:80]}")


def _done(services: Services, app: str, fact: Fact, said: str) -> Accepted:
    by: str = getattr(fact, "by", "")
    services.append(Recorded(app_object(app), fact, reason=f"{by} asked for it", actor=by))
    return Accepted(app_object(app), said)
