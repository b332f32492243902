"""A Source in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trimtab.core.errors import failure
from trimtab.core.model.facts import Change
from trimtab.core.model.identity import is_name
from trimtab.core.model.pipeline import LINK, InputFile
from trimtab.core.model.template import TemplateAt, template_digest
from trimtab.core.model.tree import Mode
from trimtab.testing.faults import Faults

_MODES: Mapping[Mode, str] = {"644": "100644", "755": "100755", "link": LINK}
"""As Git writes them."""


@dataclass(frozen=True, slots=True)
class File:
    """A committed file; for `link`, `content` is the target."""

    content: bytes
    mode: Mode = "644"


@dataclass(frozen=True, slots=True)
class _Commit:
    change: Change
    parent: str | None
    files: Mapping[str, File]


@dataclass
class _Repository:
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, _Commit] = field(default_factory=dict)


class MemorySource:
    """`Source` without Git. `faults` makes methods fail or hang."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._repositories: dict[str, _Repository] = {}
        self._templates: dict[str, bytes] = {}

    def commit(
        self,
        app: str,
        files: Mapping[str, File | None],
        *,
        branch: str = "main",
        subject: str = "Change something",
        actor: str = "Ada",
        at: float = 0.0,
    ) -> Change:
        """A new commit on the branch: the files before it with these changed (None: removed)."""
        repository = self._repositories.setdefault(app, _Repository())
        parent = repository.branches.get(branch)
        before = repository.commits[parent].files if parent else {}
        merged = {**before, **files}
        name = hashlib.sha1(repr((app, branch, len(repository.commits), subject)).encode()).hexdigest()
        change = Change(name, branch, actor, subject, at)
        kept = {path: file for path, file in merged.items() if file is not None}
        repository.commits[name] = _Commit(change, parent, kept)
        repository.branches[branch] = name
        return change

    @staticmethod
    def address(app: str) -> str:
        """The address from which `fetch` gets this application's repository."""
        return f"memory:{app}"

    async def create(self, app: str) -> None:
        await self.faults.here("create")
        if app == "state" or not is_name(app):
            raise failure("git-name", f"`{app}` cannot be an application's name", "use letters, digits and dashes")
        self._repositories.setdefault(app, _Repository())

    async def apps(self) -> tuple[str, ...]:
        await self.faults.here("apps")
        return tuple(sorted(self._repositories))

    async def head(self, app: str, branch: str) -> Change | None:
        await self.faults.here("head")
        repository = self._repository(app)
        name = repository.branches.get(branch)
        return replace(repository.commits[name].change, branch=branch) if name else None

    async def heads(self, app: str, prefix: str) -> tuple[Change, ...]:
        await self.faults.here("heads")
        repository = self._repository(app)
        names = sorted(name for name in repository.branches if name.startswith(f"{prefix.strip('/')}/"))
        return tuple(replace(repository.commits[repository.branches[name]].change, branch=name) for name in names)

    def close_branch(self, app: str, branch: str) -> None:
        """The branch is removed."""
        del self._repositories[app].branches[branch]

    async def changes(self, app: str, branch: str, after: str | None, until: str) -> tuple[Change, ...]:
        await self.faults.here("changes")
        found = [self._commit(app, until)]
        if after in self._repository(app).commits:
            while (parent := found[-1].parent) is not None and parent != after:
                found.append(self._commit(app, parent))
        return tuple(replace(commit.change, branch=branch) for commit in reversed(found))

    async def read(self, app: str, commit: str, path: str) -> bytes | None:
        await self.faults.here("read")
        file = self._commit(app, commit).files.get(path)
        return file.content if file else None

    async def checkout(self, app: str, commit: str, into: Path, only: Collection[str] | None = None) -> None:
        await self.faults.here("checkout")
        files = self._commit(app, commit).files
        if into.is_dir() and any(into.iterdir()):
            return
        into.mkdir(parents=True, exist_ok=True)
        for path, file in files.items():
            if only is not None and path not in only:
                continue
            target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.mode == "link":
                target.symlink_to(file.content.decode())
            else:
                target.write_bytes(file.content)
                target.chmod(0o755 if file.mode == "755" else 0o644)

    async def files(self, app: str, commit: str) -> tuple[InputFile, ...]:
        await self.faults.here("files")
        files = sorted(self._commit(app, commit).files.items())
        return tuple(InputFile(path, _MODES[file.mode], hashlib.sha1(file.content).hexdigest()) for path, file in files)

    async def changed(self, app: str, base: str, commit: str) -> tuple[str, ...] | None:
        await self.faults.here("changed")
        after = self._commit(app, commit).files
        if base not in self._repository(app).commits:
            return None
        before = self._commit(app, base).files
        return tuple(sorted(path for path in {**before, **after} if before.get(path) != after.get(path)))

    async def fetch(self, app: str, url: str, branch: str, ref: str | None = None) -> Change | None:
        await self.faults.here("fetch")
        there = branch if ref is None else ref.removeprefix("refs/heads/")
        repository = self._repository(app)
        other = self._repositories.get(url.removeprefix("memory:"))
        if other is None:
            raise failure("git-remote-unreachable", f"{url} cannot be reached", "see whether it is right", app)
        if there not in other.branches:
            raise failure("git-branch-missing", f"{url} has no branch `{there}`", "see its name", app)
        repository.commits |= other.commits
        repository.branches[branch] = other.branches[there]
        return await self.head(app, branch)

    async def template(self, app: str, at: TemplateAt) -> bytes | None:
        if at.digest in self._templates:
            return self._templates[at.digest]
        await self.faults.here("template")
        other = self._repositories.get(at.repository.removeprefix("memory:"))
        if other is None:
            raise failure("template-unreachable", f"{at} cannot be reached", "see whether it is right", app)
        commit = other.branches.get(at.ref or "main")
        if commit is None:
            raise failure("template-refused", f"{at.repository} has no `{at.ref}`", "see its name", app)
        file = other.commits[commit].files.get(at.path)
        if file is None:
            return None
        self._templates[template_digest(file.content)] = file.content
        return file.content

    def _repository(self, app: str) -> _Repository:
        if app not in self._repositories:
            raise failure("git-repository-missing", f"there is no repository {app}.git", "push to it")
        return self._repositories[app]

    def _commit(self, app: str, commit: str) -> _Commit:
        found = self._repository(app).commits.get(commit)
        if found is None:
            raise failure("git-commit-missing", f"{app}.git has no commit {commit}", "push its branch again")
        return found
