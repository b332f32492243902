"""Forges: what they say of their own accord, and the secrets that this takes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from trimtab.api.services import Services, Wired
from trimtab.core.errors import failure
from trimtab.core.model.facts import AppRegistered, ForgeNotified, Recorded
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.identity import app_object
from trimtab.ports.forge import ForgeEvent
from trimtab.views.model import Accepted, WebhookView

LIMIT_BYTES = 1024 * 1024
"""Of a message. What forges write about a push of many commits is larger, and is found by polling."""
PATIENCE_BYTES = 32 * 1024 * 1024
"""As much of a message that is too large is read and thrown away, so that its sender gets to hear why it is refused:
more than any forge sends."""


class ForgeAccess(BaseModel):
    """What Trimtab shows the forge; none: as it was."""

    token: str | None = None


routes = APIRouter(prefix="/api/v1", tags=["steer"])
"""Webhooks come without our token: their signature says who they are from."""


@routes.post("/apps/{app}/forge", status_code=201)
async def keep_secrets(services: Wired, app: str, access: ForgeAccess) -> WebhookView:
    """Keep the forge's token, and make the webhook's secret if there is none. Both are in files of the folder only."""
    _forge_of(services, app)
    if access.token is not None:
        services.forge_secrets.keep_token(app, access.token)
        # What could not be read without it can be read now.
        services.append(Recorded(app_object(app), ForgeNotified("", "there is a new token"), actor="trimtab"))
    secret = services.forge_secrets.make_webhook_secret(app)
    return WebhookView(f"{services.public_url}/api/v1/hooks/{app}", secret)


@routes.post("/hooks/{app}")
async def hear(services: Wired, request: Request, app: str) -> Accepted:
    """The webhook of an application's forge. Recorded at once; what it is about is looked at afterwards."""
    registered, forge = _forge_of(services, app)
    event = _read(services, app, forge, request, await _body(request))
    fact, said = _what_follows(event, registered)
    if fact is None:
        return Accepted(app_object(app), said)
    reason, key = f"the forge's message {event.delivery}", f"hook/{app}/{event.delivery}"
    if not services.append(Recorded(app_object(app), fact, reason, actor=forge.kind, key=key)):
        return Accepted(app_object(app), f"{event.delivery} was seen before")
    return Accepted(app_object(app), said)


def _forge_of(services: Services, app: str) -> tuple[AppRegistered, ForgeSpec]:
    registered = services.registered(app)
    if registered is None or registered.forge is None:
        hint = "`trimtab apps add --forge` says where its repository is"
        raise failure("not-found", f"no application {app[:80]} has a forge", hint)
    return registered, registered.forge


async def _body(request: Request) -> bytes:
    """The message. Raises `TrimtabError` (`webhook-too-large`), having kept no more of it than it may be long."""
    kept, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= LIMIT_BYTES:
            kept += chunk
        elif length > PATIENCE_BYTES:
            break
    if length > LIMIT_BYTES:
        message = f"the message is larger than {LIMIT_BYTES // 1024} KiB and was not read"
        raise failure("webhook-too-large", message, "what it is about is found by polling")
    return bytes(kept)


def _read(services: Services, app: str, forge: ForgeSpec, request: Request, body: bytes) -> ForgeEvent:
    secret = services.forge_secrets.webhook_secret(app)
    if secret is None:
        hint = "`trimtab apps add` makes one and says what to enter in the forge's settings"
        raise failure("webhook-secret", f"{app} has no webhook secret, so nothing can be believed", hint)
    return services.forges.read_webhook(forge, secret, dict(request.headers), body, services.clock.now())


def _what_follows(event: ForgeEvent, registered: AppRegistered) -> tuple[ForgeNotified | None, str]:
    """The fact to record, if any, and what the forge is told."""
    deployed = registered.branch
    if event.kind == "push" and deployed in event.branches:
        return ForgeNotified(event.delivery, event.said), f"{deployed} is looked at"
    if event.pull is not None:
        pull, base = event.pull, event.pull.pull_request.base
        # One that was retargeted is none of ours any more.
        closed = event.kind == "closed" or base != deployed
        fact = ForgeNotified(event.delivery, event.said, pull.pull_request, pull.branch, pull.fork, closed)
        is_theirs = f"{pull.pull_request} is for {base}, and only {deployed} is deployed"
        return fact, f"{pull.pull_request} is looked at" if base == deployed else is_theirs
    if event.kind == "push":
        return None, f"only {deployed} is deployed, and {event.said}"
    return None, "Trimtab hears you" if event.kind == "ping" else event.said
