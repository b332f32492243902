"""What arrives: a commit, and the pull request that asks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A commit that arrived on the deployed branch."""

    commit: str
    branch: str
    actor: str
    subject: str
    at: float


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Asks that its change be merged into the branch `base`. Its runs deploy nothing."""

    number: int
    base: str
    url: str = ""
    title: str = ""
    from_fork: bool = False
    """Whether its author may not be trusted: then its runs get no secrets, and keep nothing for others in the cache."""
    name: str = ""
    """Of one without a forge: what follows ``pr/`` in its branch. Its number is 0 then."""

    @property
    def branch(self) -> str:
        """The branch of our own repository that its head is kept in; no two have the same."""
        return f"pr/{self.name}" if self.name else f"pull/{self.number}"

    def __str__(self) -> str:
        return f"pr/{self.name}" if self.name else f"pull request {self.number}"
