"""What differs between forges: how they sign, what they say, and how they want to be asked. All of it is pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trimtab.core.model.forge import ForgeSpec
from trimtab.ports.forge import CommitStatus, EventKind, ForgeEvent, OpenPull, OpenPulls

AT_ONCE = 100
"""How many comments or pull requests are asked for at once."""
DELETED = frozenset("0")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `path` is below the API's address and quoted."""

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Mapping[str, object] | None = None
    settled: str = ""
    """Words in a refusal that say that it is so already."""


@dataclass(frozen=True, slots=True)
class Comment:
    id: int
    text: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook's message, headers by their names in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Dialect(Protocol):
    """One kind of forge. What reads JSON raises `Malformed`."""

    usual_api: str
    """The address that everybody's forge has; empty: everybody has his own."""
    api_example: str

    # --- webhooks ---

    def verify(self, message: Message, secret: str, now: float, /) -> None:
        """Raises `TrimtabError`."""
        ...

    def read(self, message: Message, forge: ForgeSpec) -> ForgeEvent: ...

    # --- Git ---

    def clone_url(self, forge: ForgeSpec, repository: str) -> str: ...

    def ref(self, pull: OpenPull) -> str:
        """Where a pull request's head is: in its repository, or, where there is no such ref, in its source's."""
        ...

    def git_authorization(self, token: str) -> str: ...

    # --- the API ---

    def headers(self, token: str) -> Mapping[str, str]: ...

    def set_status(self, forge: ForgeSpec, status: CommitStatus) -> Ask: ...

    def list_pulls(self, forge: ForgeSpec) -> Ask: ...

    def read_pulls(self, answer: object) -> OpenPulls: ...

    def list_comments(self, forge: ForgeSpec, number: int, page: int) -> Ask | None:
        """The page, counted from 1; None: there are no pages after the first."""
        ...

    def read_comments(self, answer: object) -> tuple[tuple[Comment, ...], bool]:
        """The comments, and whether there is another page."""
        ...

    def new_comment(self, forge: ForgeSpec, number: int, text: str) -> Ask: ...

    def edit_comment(self, forge: ForgeSpec, number: int, comment: Comment, text: str, /) -> Ask: ...

    def mark(self, topic: str) -> str:
        """Markdown that nobody sees and that is still there when the comment is read."""
        ...


def pushed(delivery: str, *branches: str) -> ForgeEvent:
    """The event of a push."""
    if not branches:
        return ignored(delivery, "nothing but tags and deleted branches was pushed")
    return ForgeEvent("push", delivery, f"{' and '.join(branches)} pushed", branches=branches)


def pull_event(delivery: str, pull: OpenPull, *, closed: bool) -> ForgeEvent:
    kind: EventKind = "closed" if closed else "opened"
    return ForgeEvent(kind, delivery, f"{pull.pull_request} {'closed' if closed else 'updated'}", pull=pull)


def ignored(delivery: str, said: str) -> ForgeEvent:
    return ForgeEvent("ignored", delivery, said)


def branch_of(ref: str) -> str:
    """The branch of ``refs/heads/main``; empty for a tag."""
    return ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""


def html_mark(topic: str) -> str:
    return f"<!-- trimtab: {topic} -->"


def basic(user: str, password: str) -> str:
    """The header's value for basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
