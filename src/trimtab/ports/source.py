"""Where changes come from, and where it is written what should run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trimtab.core.errors import Problem
from trimtab.core.model.facts import Change
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.core.model.pipeline import InputFile
from trimtab.core.model.template import TemplateAt


class Source(Protocol):
    """The applications' Git repositories, each kept as a bare repository of Trimtab's own.

    Every method raises `TrimtabError` with a Problem that names the repository and the next step; none hangs: a remote
    that does not answer is given up after a stated time.
    """

    async def create(self, app: str) -> None:
        """Make the repository if it is not there. Idempotent."""
        ...

    async def apps(self) -> tuple[str, ...]:
        """The names of all repositories, sorted."""
        ...

    async def head(self, app: str, branch: str) -> Change | None:
        """The newest commit of the branch; None when there is none."""
        ...

    async def heads(self, app: str, prefix: str) -> tuple[Change, ...]:
        """The newest commits of all branches below `prefix` (``pr/``), sorted by branch. Asked all the time, so it
        costs next to nothing where there are none."""
        ...

    async def changes(self, app: str, branch: str, after: str | None, until: str) -> tuple[Change, ...]:
        """First-parent commits of `branch` after `after` up to and with `until`, oldest first; only `until` itself when
        `after` is None or a commit that is not known."""
        ...

    async def read(self, app: str, commit: str, path: str) -> bytes | None:
        """A file of a commit; None when the commit has no such file."""
        ...

    async def checkout(self, app: str, commit: str, into: Path, only: Collection[str] | None = None) -> None:
        """Write the commit's files into an empty or missing folder, which appears whole or not at all. Idempotent: a
        folder that already has files is left as it is. Submodules are refused.

        `only`: these paths, as they are in a checkout of all; it costs no more than these.
        """
        ...

    async def files(self, app: str, commit: str) -> tuple[InputFile, ...]:
        """The commit's files, sorted by path. Submodules are refused."""
        ...

    async def changed(self, app: str, base: str, commit: str) -> tuple[str, ...] | None:
        """The paths that differ between the two commits, sorted; None when `base` is not known here any more."""
        ...

    async def fetch(self, app: str, url: str, branch: str, ref: str | None = None) -> Change | None:
        """Bring the branch of another repository here (polling), also when it was rewritten there; the new head.
        `ref`: bring this ref (``refs/pull/7/head``) here as `branch`."""
        ...

    async def template(self, app: str, at: TemplateAt) -> bytes | None:
        """A file of another repository, for the application; None when there is no such file. One with a digest is
        fetched once and is known from then on, whatever becomes of the repository. Whoever calls sees to it that it is
        the file that is pinned.

        Raises `template-unreachable` for what passes by itself, and `template-refused` for what does not (no such
        `ref`, no way in, too large).
        """
        ...


@dataclass(frozen=True, slots=True)
class Desired:
    """What the state repository says of one environment."""

    release: Digest | None
    commit: str
    """The newest commit that touched this environment's file."""
    author: str = ""
    subject: str = ""
    problem: Problem | None = None
    """Why the file cannot be understood; then `release` is None."""


class StateRepository(Protocol):
    """The Git repository that says what should run where: for each environment a YAML file `APP/ENVIRONMENT.yaml`."""

    async def head(self) -> str | None:
        """The newest commit; None while there is none."""
        ...

    async def desired(self, environment: EnvironmentId) -> Desired | None:
        """What should run there; None when there is no file."""
        ...

    async def touched(self, since: str | None) -> tuple[EnvironmentId, ...]:
        """The environments whose files changed after that commit; None, or a commit that is not part of the history:
        every environment there ever was a file for."""
        ...

    async def write(
        self,
        environment: EnvironmentId,
        release: Digest,
        *,
        subject: str,
        body: str,
        trailers: Mapping[str, str],
        key: str,
        author: str = "Trimtab",
    ) -> str:
        """Commit `release` as desired; the commit's id.

        `key` goes into the trailer `Trimtab-Key`: a second write with the same key makes no second commit and returns
        the first one's id, also after a crash in between. Concurrent pushes are not lost: the write is made on top.
        """
        ...

    async def log(self, limit: int = 50) -> tuple[Mapping[str, str], ...]:
        """The newest commits first: commit, author, at, subject, and the trailers by name."""
        ...
