"""The labs of the contract suites: the real repositories with a user beside them, and those in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.adapters.git.user import User
from trimtab.adapters.git import GitSource, GitStateRepository
from trimtab.testing.memory_source import File, MemorySource
from trimtab.testing.memory_state_repository import MemoryStateRepository


class GitSourceLab:
    def __init__(self, folder: Path) -> None:
        self.source = GitSource(folder / "home", template_protocols="file")
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

    def template_address(self, app: str) -> str:
        return f"file://{self.source.path(app)}"

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

    def template_address(self, app: str) -> str:
        return f"memory:{app}"


class GitStateLab:
    def __init__(self, folder: Path) -> None:
        self.repository = GitStateRepository(folder / "home")
        self._folder = folder
        self._user: User | None = None

    async def push(
        self, files: Mapping[str, bytes | None], *, author: str = "Ada", subject: str = "Edit by hand"
    ) -> str:
        user = await self.user()
        user.pull()
        changes = {path: None if content is None else File(content) for path, content in files.items()}
        commit = user.commit(changes, subject, author)
        user.push()
        return commit

    async def user(self) -> User:
        await self.repository.head()
        if self._user is None:
            self._user = User(self._folder / "user", str(self._folder / "home" / "state.git"))
        return self._user


class MemoryStateLab:
    def __init__(self, _: Path) -> None:
        self.repository = MemoryStateRepository()

    async def push(
        self, files: Mapping[str, bytes | None], *, author: str = "Ada", subject: str = "Edit by hand"
    ) -> str:
        return self.repository.push(files, author=author, subject=subject)
