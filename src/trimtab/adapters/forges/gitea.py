"""Gitea and Forgejo: in most things like GitHub."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.adapters.forges import signatures
from trimtab.adapters.forges.dialect import AT_ONCE, Ask, Comment, Message, basic
from trimtab.adapters.forges.fields import objects
from trimtab.adapters.forges.github import GitHub, read_event, read_pull
from trimtab.core.model.forge import ForgeSpec
from trimtab.ports.forge import ForgeEvent, OpenPulls

PULLS_AT_ONCE = 50
"""More are not given at once by an instance that is set up as usual."""


class Gitea(GitHub):
    usual_api = ""
    api_example = "https://git.example.com/api/v1"

    def verify(self, message: Message, secret: str, _now: float) -> None:
        names = ("x-gitea-signature", "x-forgejo-signature")
        signatures.require_hex(message.headers, names, "", secret, message.body)

    def read(self, message: Message, forge: ForgeSpec) -> ForgeEvent:
        headers = message.headers
        kind = headers.get("x-gitea-event") or headers.get("x-forgejo-event", "")
        delivery = headers.get("x-gitea-delivery") or headers.get("x-forgejo-delivery", "")
        return read_event(kind, delivery, message, forge)

    def clone_url(self, forge: ForgeSpec, repository: str) -> str:
        return f"{forge.api_url.removesuffix('/api/v1')}/{repository}.git"

    def git_authorization(self, token: str) -> str:
        return basic("trimtab", token)

    def headers(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"token {token}", "Accept": "application/json"}

    def list_pulls(self, forge: ForgeSpec) -> Ask:
        params: dict[str, str | int] = {"state": "open", "sort": "recentupdate", "limit": PULLS_AT_ONCE}
        return Ask("GET", f"/repos/{forge.repository}/pulls", params)

    def read_pulls(self, answer: object) -> OpenPulls:
        pulls = tuple(map(read_pull, objects(answer)))
        return OpenPulls(pulls, len(pulls) < PULLS_AT_ONCE)

    def list_comments(self, forge: ForgeSpec, number: int, page: int) -> Ask | None:
        """It knows no pages: all of them come at once."""
        return super().list_comments(forge, number, page) if page == 1 else None

    def read_comments(self, answer: object) -> tuple[tuple[Comment, ...], bool]:
        return super().read_comments(answer)[0], False


assert PULLS_AT_ONCE <= AT_ONCE
