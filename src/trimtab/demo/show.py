"""What a demo shows: an application, and the changes that its team pushes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

AUTHOR = ("-c", "user.name=Trimtab demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old` by `new` in a file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """One change: what its author says, what Trimtab should make of it, and the edits or the patch that it is."""

    subject: str
    expected: str
    """`promoted`, `rolled_back`, or `failed` (in the pipeline)."""
    edits: tuple[Edit, ...] = ()
    patch: Path | None = None


class Show(Protocol):
    """An application with its chapters, as the stage needs it."""

    app: str
    chapters: tuple[Chapter, ...]
    chapter_within_s: float
    """How long a chapter may take."""

    def prepare(self, folder: Path) -> None:
        """Start what the application needs besides Trimtab. Raises TrimtabError."""

    def plant(self, repository: Path, staging_port: int, production_port: int) -> None:
        """Write the application into a new Git repository; nothing is committed."""

    def commit(self, repository: Path, number: int) -> str:
        """Commit chapter `number`, counted from 0; the commit's id."""

    def users(self, address: str, seconds: float) -> list[str]:
        """The words of a Python process that asks the application at `address` for so long."""

    def ask(self, address: str) -> str:
        """Ask the application something, and tell what it said; empty: there is nothing to tell."""

    def how_to_ask(self, address: str) -> str:
        """A command for whoever explores."""

    def close(self) -> None:
        """End what `prepare` has started."""


def git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True, text=True)
    return done.stdout


def commit_all(repository: Path, subject: str) -> str:
    """Commit everything; the commit's id."""
    git(repository, "add", "--all")
    git(repository, *AUTHOR, "commit", "--quiet", "--message", subject)
    return head(repository)


def head(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD").strip()
