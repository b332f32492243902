"""The labs of the contract suites: the real repositories with a user beside them, and those in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.adapters.git.user import User
from trimtab.adapters.git import GitSource
from trimtab.testing.memory_source import File, MemorySource


class GitSourceLab:
    def __init__(self, folder: Path) -> None:
        self.source = GitSource(folder / "home")
        self._folder = folder
        self._users: dict[str, User] = {}

    async def commit(
        self,
        app: str,
        files: Mapping[str, File | None],
        *,
        subject: str = "Change something",
        actor: str = "Ada",
        branch: str = "main",
    ) -> str:
        user = self.user(app)
        user.pull(branch)
        commit = user.commit(files, subject, actor)
        user.push(branch=branch)
        return commit

    async def rewrite(self, app: str, files: Mapping[str, File | None], *, branch: str = "main") -> str:
        user = self.user(app)
        user.pull(branch)
        user.write(files)
        user.git("add", "-A")
        user.git("commit", "-q", "--amend", "-m", "Rewritten")
        user.push("--force", branch=branch)
        return user.git("rev-parse", "HEAD").stdout.strip()

    def address(self, app: str) -> str:
        return str(self.source.path(app))

    def user(self, app: str) -> User:
        if app not in self._users:
            self._users[app] = User(self._folder / "users" / app, self.address(app))
        return self._users[app]


class MemorySourceLab:
    def __init__(self, _: Path) -> None:
        self.source = MemorySource()

    async def commit(
        self,
        app: str,
        files: Mapping[str, File | None],
        *,
        subject: str = "Change something",
        actor: str = "Ada",
        branch: str = "main",
    ) -> str:
        return self.source.commit(app, files, subject=subject, actor=actor, branch=branch).commit

    async def rewrite(self, app: str, files: Mapping[str, File | None], *, branch: str = "main") -> str:
        return self.source.commit(app, files, subject="Rewritten", branch=branch).commit

    def address(self, app: str) -> str:
        return self.source.address(app)
