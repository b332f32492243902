"""Git's smart HTTP protocol: what `git clone http://...` and `git push http://...` talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GitRequest:
    """One HTTP request, already authenticated. Nothing of the body is held in memory beyond a chunk."""

    method: str
    path: str
    """Below the place where Git is served, decoded: ``/shop.git/info/refs``."""
    query: str
    """The raw query string: ``service=git-receive-pack``."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: AsyncIterator[bytes]
    user: str = ""
    """Who was authenticated; hooks and the reflog see it."""


@dataclass(frozen=True, slots=True)
class GitResponse:
    """The answer. Whoever gets it reads `body` to its end or calls its `aclose()`."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class GitHttp(Protocol):
    """Serves the applications' repositories as `/APP.git` and the state repository as `/state.git`.

    A push to an application that has no repository yet makes one. A path that is not Git's is answered with 404, a name
    that cannot be an application's with 404 and a sentence. Only a request that cannot be served for reasons of ours
    (no `git` program, no space) raises `TrimtabError`.
    """

    async def serve(self, request: GitRequest) -> GitResponse: ...

    async def aclose(self) -> None:
        """End whatever is still being served."""
        ...
