"""Forges: where people's repositories and pull requests are, and where they look for what became of their commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from trimtab.core.model.facts import PullRequest
from trimtab.core.model.forge import ForgeKind, ForgeSpec

CONTEXT = "trimtab"
"""The name of our commit statuses."""
LONGEST_DESCRIPTION = 140
"""Of a commit status (characters): what the forge with the least room takes."""

StatusState = Literal["pending", "success", "failure", "error", "cancelled"]
"""``error``: nothing is known of the commit, since something else went wrong. A forge that has no word for one of these
gets the nearest that it has."""


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """What is said of a commit. A new one takes the place of the one before."""

    commit: str
    state: StatusState
    description: str
    url: str


@dataclass(frozen=True, slots=True)
class OpenPull:
    """An open pull request as the forge tells of it."""

    pull_request: PullRequest
    head: str
    """The newest commit, if the forge says which; what is fetched counts."""
    branch: str = ""
    """The branch that its commits are in."""
    fork: str = ""
    """The repository of that branch; empty: the one that the pull request is for."""


@dataclass(frozen=True, slots=True)
class OpenPulls:
    """`whole`: there are no more, so one that is not here is closed."""

    pulls: tuple[OpenPull, ...]
    whole: bool


EventKind = Literal["push", "opened", "closed", "ping", "ignored"]


@dataclass(frozen=True, slots=True)
class ForgeEvent:
    """What a webhook says. ``opened``: there is this pull request, maybe with a new head."""

    kind: EventKind
    delivery: str
    """The same when the forge sends the same message again."""
    said: str
    """The event in a few words: ``pull request 7 opened``."""
    branches: tuple[str, ...] = ()
    """That were pushed to."""
    pull: OpenPull | None = None


class Forges(Protocol):
    """All forges. What is not awaited is pure.

    What asks a forge raises `TrimtabError`: `forge-token` (the token is missing, wrong, or may not do that),
    `forge-missing` (no such repository or pull request, or the token may not see it), `forge-refused`,
    `forge-answer` (something that is no answer), `forge-unreachable`.
    """

    def spec(self, kind: ForgeKind, repository: str, api_url: str | None) -> ForgeSpec:
        """What people enter, made whole: with the address that everybody's forge of this kind has, if none is given.
        Raises `TrimtabError` (`forge-address`)."""
        ...

    def read_webhook(
        self, forge: ForgeSpec, secret: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> ForgeEvent:
        """The event of a message, `headers` by their names in lower case.

        Raises `TrimtabError`: `webhook-unsigned`, `webhook-signature` (wrong, or too old to be believed),
        `webhook-malformed` (signed, and no event of this forge). Signatures are compared in constant time."""
        ...

    def clone_url(self, forge: ForgeSpec) -> str:
        """Where Git finds the repository (HTTPS)."""
        ...

    def head_of(self, forge: ForgeSpec, pull: OpenPull) -> tuple[str | None, str]:
        """Where Git finds a pull request's commits: an address (None: that of the repository) and a ref there."""
        ...

    def git_authorization(self, forge: ForgeSpec, token: str) -> str:
        """The value of the header `Authorization` with which Git may read the repository."""
        ...

    async def open_pull_requests(self, forge: ForgeSpec, token: str) -> OpenPulls:
        """Asks once: whoever polls asks again by himself."""
        ...

    async def set_status(self, forge: ForgeSpec, token: str, status: CommitStatus) -> None:
        """Idempotent. Tries again for as long as it makes sense, with growing pauses; so may take long."""
        ...

    async def comment(self, forge: ForgeSpec, token: str, number: int, topic: str, text: str) -> None:
        """Make `text` (Markdown) the comment about `topic` on the pull request: there is never more than one, found
        again by a mark that nobody sees. Idempotent; tries again like `set_status`."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class ForgeSecrets(Protocol):
    """Each application's token for its forge, and the secret of its webhook. Never in facts, views or logs."""

    def token(self, app: str) -> str | None:
        """None: there is none; then the forge is not asked and not told anything."""
        ...

    def keep_token(self, app: str, token: str) -> None:
        """In place of an older one. Raises `TrimtabError` (`forge-token-form`)."""
        ...

    def webhook_secret(self, app: str) -> str | None: ...

    def make_webhook_secret(self, app: str) -> str | None:
        """Make one and return it; None when there is one already."""
        ...
