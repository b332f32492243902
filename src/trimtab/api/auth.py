"""Who asks. One token for the installation: as a bearer token, or as the password of basic authentication (Git)."""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import unquote

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from trimtab.api.problems import problem_answer
from trimtab.core.errors import Problem

OPEN = frozenset({"/healthz"})
SIGNED = "/api/v1/hooks/"
"""What the paths of webhooks begin with: each message is authenticated by its signature."""
ACTOR_HEADER = "x-trimtab-actor"
"""Percent-encoded: a header carries ASCII only, and not every name does."""


class TokenAuthentication:
    """ASGI middleware. Sets `request.state.actor`; anything without the token is answered with 401.

    A plain ASGI middleware, so that Git's streams pass through it unbuffered.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(SIGNED):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        user, secret = _credentials(connection.headers.get("authorization", ""))
        if not hmac.compare_digest(secret.encode(), self._token.encode()):
            hint = "the token is in the file `token` of Trimtab's folder; `trimtab` commands find it by themselves"
            refusal = problem_answer(Problem("unauthenticated", "the token is missing or wrong", hint))
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = unquote(connection.headers.get(ACTOR_HEADER, "")) or user or "someone"
        await self._app(scope, receive, send)


def _credentials(header: str) -> tuple[str, str]:
    """User and secret of an Authorization header; empty strings for anything else."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return "", value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, secret
    return "", ""
