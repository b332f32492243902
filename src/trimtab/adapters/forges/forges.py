"""All forges, each asked in its own way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from trimtab.adapters.forges.asking import Asker, garbled
from trimtab.adapters.forges.bitbucket import Bitbucket
from trimtab.adapters.forges.bitbucket_data_center import BitbucketDataCenter
from trimtab.adapters.forges.dialect import Ask, Comment, Dialect, Message
from trimtab.adapters.forges.fields import Malformed
from trimtab.adapters.forges.gitea import Gitea
from trimtab.adapters.forges.github import GitHub
from trimtab.adapters.forges.gitlab import GitLab
from trimtab.adapters.forges.patience import Again, Patience, patiently
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.forge import ForgeKind, ForgeSpec
from trimtab.ports.clock import Clock
from trimtab.ports.forge import CommitStatus, ForgeEvent, OpenPull, OpenPulls

DIALECTS: Mapping[ForgeKind, Dialect] = {
    "github": GitHub(),
    "gitlab": GitLab(),
    "gitea": Gitea(),
    "bitbucket": Bitbucket(),
    "bitbucket-data-center": BitbucketDataCenter(),
}
T = TypeVar("T")
PAGES = 10
"""On how many pages of comments ours is looked for."""
_WORD = r"(?!\.)[\w.~-]+(?<!\.)"
_REPOSITORY = re.compile(rf"{_WORD}(/{_WORD})+", re.ASCII)


class HttpForges:
    """`Forges` over HTTP. `chance`: a number between 0 and 1, for the pauses before trying again."""

    def __init__(
        self,
        clock: Clock,
        chance: Callable[[], float],
        patience: Patience | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._clock, self._chance, self._patience = clock, chance, patience or Patience()
        self._asker = Asker(clock, timeout_s)

    def spec(self, kind: ForgeKind, repository: str, api_url: str | None) -> ForgeSpec:
        dialect = DIALECTS[kind]
        name = repository.strip("/").removesuffix(".git")
        if _REPOSITORY.fullmatch(name) is None or (kind != "gitlab" and name.count("/") != 1):
            hint = "write it as the forge does: `org/shop`"
            raise failure("forge-address", f"`{repository[:80]}` cannot be a repository of {kind}", hint)
        address = (api_url or dialect.usual_api).rstrip("/")
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or parts.query:
            what = (
                f"`{api_url[:80]}` is not the address of an API" if api_url else f"it is not known where your {kind} is"
            )
            raise failure("forge-address", what, f"say --api-url, as in {dialect.api_example}")
        return ForgeSpec(kind, name, address)

    # --- webhooks and Git ---

    def read_webhook(
        self, forge: ForgeSpec, secret: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> ForgeEvent:
        dialect, message = DIALECTS[forge.kind], Message(headers, body)
        dialect.verify(message, secret, now)
        try:
            event = dialect.read(message, forge)
            if not event.delivery:
                raise Malformed("the header with the message's id is missing")
        except Malformed as error:
            hint = f"is it a webhook of {forge.kind}, sent as JSON?"
            raise failure("webhook-malformed", f"the message cannot be read: {error}", hint) from None
        return event

    def clone_url(self, forge: ForgeSpec) -> str:
        return DIALECTS[forge.kind].clone_url(forge, forge.repository)

    def head_of(self, forge: ForgeSpec, pull: OpenPull) -> tuple[str | None, str]:
        dialect = DIALECTS[forge.kind]
        ref = dialect.ref(pull)
        in_fork = pull.fork and ref.startswith("refs/heads/")
        return (dialect.clone_url(forge, pull.fork) if in_fork else None), ref

    def git_authorization(self, forge: ForgeSpec, token: str) -> str:
        return DIALECTS[forge.kind].git_authorization(token)

    # --- the API ---

    async def open_pull_requests(self, forge: ForgeSpec, token: str) -> OpenPulls:
        dialect, ask = DIALECTS[forge.kind], DIALECTS[forge.kind].list_pulls(forge)
        try:
            return _read(forge, ask, dialect.read_pulls, await self._ask(forge, token, ask))
        except Again as again:
            raise TrimtabError(again.problem) from None

    async def set_status(self, forge: ForgeSpec, token: str, status: CommitStatus) -> None:
        ask = DIALECTS[forge.kind].set_status(forge, status)
        await patiently(lambda: self._ask(forge, token, ask), self._clock, self._chance, self._patience)

    async def comment(self, forge: ForgeSpec, token: str, number: int, topic: str, text: str) -> None:
        async def once() -> None:
            dialect = DIALECTS[forge.kind]
            mark = dialect.mark(topic)
            whole = f"{text}\n\n{mark}"
            ours = await self._find(forge, token, number, mark)
            if ours is None:
                await self._ask(forge, token, dialect.new_comment(forge, number, whole))
            elif ours.text.strip() != whole.strip():
                await self._ask(forge, token, dialect.edit_comment(forge, number, ours, whole))

        # All of it again: whether a comment was made whose answer was lost shows when it is looked for.
        await patiently(once, self._clock, self._chance, self._patience)

    async def _find(self, forge: ForgeSpec, token: str, number: int, mark: str) -> Comment | None:
        dialect = DIALECTS[forge.kind]
        for page in range(1, PAGES + 1):
            ask = dialect.list_comments(forge, number, page)
            if ask is None:
                return None
            answer = await self._ask(forge, token, ask)
            comments, goes_on = _read(forge, ask, dialect.read_comments, answer)
            for comment in comments:
                if mark in comment.text:
                    return comment
            if not goes_on:
                return None
        return None

    async def _ask(self, forge: ForgeSpec, token: str, ask: Ask) -> object:
        return await self._asker.ask(forge.kind, forge.api_url, DIALECTS[forge.kind].headers(token), ask)

    async def aclose(self) -> None:
        await self._asker.aclose()


def _read(forge: ForgeSpec, ask: Ask, read: Callable[[object], T], answer: object) -> T:
    try:
        return read(answer)
    except Malformed as error:
        raise Again(garbled(f"{forge.api_url}{ask.path}", str(error))) from None
