"""The applications' repositories."""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
import shutil
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

from trimtab.adapters.git import remote
from trimtab.adapters.git.layout import STATE, app_path, repository_names
from trimtab.adapters.git.repository import Repository, create, is_id
from trimtab.adapters.git.templates import Templates
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.facts import Change
from trimtab.core.model.pipeline import InputFile
from trimtab.core.model.template import TemplateAt

_FIELDS = "%H%x00%an%x00%ct%x00%s"
_REF_FIELDS = "%(refname)%00%(objectname)%00%(authorname)%00%(committerdate:unix)%00%(contents:subject)"
_ATTRIBUTES = ".gitattributes"
_BRANCH = re.compile(
    r"(?!.*(\.\.|@\{|//|\.lock(/|$)|/\.|\.$|/$))[^-./\x00-\x20~^:?*\[\\\x7f][^\x00-\x20~^:?*\[\\\x7f]*"
)


class GitSource:
    """`Source` on bare repositories `HOME/APP.git`.

    A command that does nothing for `timeout_s` seconds is given up. A commit with submodules is refused at `checkout`
    and `files`: Trimtab has no copy of their contents.
    """

    def __init__(
        self,
        home: Path,
        timeout_s: float = 30.0,
        access: Callable[[str, str], Mapping[str, str]] = lambda *_: {},
        template_protocols: str = "https:ssh",
    ) -> None:
        """`access`: the HTTP headers with which Git may read what is at an address for an application.
        `template_protocols`: by which templates of steps may be fetched."""
        self._home = home
        self._timeout_s = timeout_s
        self._access = access
        self._templates = Templates(home / "templates", timeout_s, template_protocols)
        self._heads: dict[tuple[str, str], Change | None] = {}

    def path(self, app: str) -> Path:
        """Where the application's repository is. Raises `TrimtabError` (`git-name`)."""
        return app_path(self._home, app)

    async def create(self, app: str) -> None:
        self.path(app)
        await create(self._home, app, self._timeout_s)

    async def apps(self) -> tuple[str, ...]:
        return tuple(name for name in repository_names(self._home) if name != STATE)

    async def head(self, app: str, branch: str) -> Change | None:
        ref, repository = _branch_ref(branch), self._repository(app)
        commit = await repository.branch(ref)
        known = self._heads.get((app, branch))
        if known is None or known.commit != commit:
            known = await self._head(repository, ref, branch)
            self._heads[app, branch] = known
        return known

    async def _head(self, repository: Repository, ref: str, branch: str) -> Change | None:
        return next((change for change in await _changes_at(repository, ref) if change.branch == branch), None)

    async def heads(self, app: str, prefix: str) -> tuple[Change, ...]:
        repository, below = self._repository(app), f"refs/heads/{prefix.strip('/')}"
        if not repository.may_have(f"{below}/"):
            return ()
        return await _changes_at(repository, f"{below}/")

    async def changes(self, app: str, branch: str, after: str | None, until: str) -> tuple[Change, ...]:
        repository = self._repository(app)
        await repository.require_commit(until)
        known = after is not None and await repository.has_commit(after)
        span = (f"{after}..{until}",) if known else ("-1", until)
        answer = await repository.git("log", "--first-parent", "--reverse", f"--format={_FIELDS}", *span, "--")
        rows = (line.split("\0") for line in answer.text.split("\n") if line)
        return tuple(Change(commit, branch, actor, subject, float(at)) for commit, actor, at, subject in rows)

    async def read(self, app: str, commit: str, path: str) -> bytes | None:
        repository = self._repository(app)
        content = await repository.blob(commit, path)
        if content is None:
            await repository.require_commit(commit)
        return content

    async def files(self, app: str, commit: str) -> tuple[InputFile, ...]:
        return await _files(self._repository(app), commit)

    async def changed(self, app: str, base: str, commit: str) -> tuple[str, ...] | None:
        repository = self._repository(app)
        await repository.require_commit(commit)
        if not await repository.has_commit(base):
            return None
        answer = await repository.git("diff-tree", "-r", "-z", "--no-renames", "--name-only", base, commit)
        return tuple(sorted(os.fsdecode(path) for path in answer.stdout.split(b"\0")[:-1]))

    async def checkout(self, app: str, commit: str, into: Path, only: Collection[str] | None = None) -> None:
        repository = self._repository(app)
        if await asyncio.to_thread(_has_files, into):
            return
        # The folder gets its name when it is whole, so that whatever is found under the name is whole.
        half_written, index = into.parent / f".{into.name}.half", into.parent / f".{into.name}.index"
        await asyncio.to_thread(_clear, half_written, index)
        try:
            half_written.mkdir(parents=True)
            if only is None:
                await _both(_files(repository, commit), _write_all(repository, commit, half_written, index))
            else:
                await _write_some(repository, await _files(repository, commit), frozenset(only), half_written, index)
            half_written.rename(into)
        except OSError as error:
            hint = "see that its parent is writable and on one file system"
            raise failure("git-checkout", f"cannot write {into}: {error.strerror}", hint, app) from error
        finally:
            await asyncio.to_thread(_clear, half_written, index)

    async def fetch(self, app: str, url: str, branch: str, ref: str | None = None) -> Change | None:
        into = _branch_ref(branch)
        if ref is not None:
            _branch_ref(ref.removeprefix("refs/heads/"))  # what cannot name a branch cannot name another ref
        await remote.fetch(self._repository(app), url, ref or into, into, self._access(app, url))
        return await self.head(app, branch)

    async def template(self, app: str, at: TemplateAt) -> bytes | None:
        return await self._templates.get(at, self._access(app, at.repository))

    def _repository(self, app: str) -> Repository:
        return Repository(self.path(app), self._timeout_s)


def _branch_ref(branch: str) -> str:
    if _BRANCH.fullmatch(branch) is None:
        raise failure("git-branch-name", f"`{branch[:80]}` cannot be a branch's name", "see `git check-ref-format`")
    return f"refs/heads/{branch}"


async def _changes_at(repository: Repository, pattern: str) -> tuple[Change, ...]:
    """The newest commits of the branches that a ref, or a beginning that ends in a slash, names."""
    answer = await repository.git("for-each-ref", f"--format={_REF_FIELDS}", pattern)
    rows = (line.split("\0") for line in answer.text.splitlines())
    return tuple(
        Change(commit, name.removeprefix("refs/heads/"), actor, subject, float(at))
        for name, commit, actor, at, subject in rows
    )


async def _both(first: Awaitable[object], second: Awaitable[object]) -> None:
    """Await both to their ends; raises the first one's error, or the second one's."""
    for outcome in await asyncio.gather(first, second, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def _files(repository: Repository, commit: str) -> tuple[InputFile, ...]:
    if not is_id(commit):
        await repository.require_commit(commit)
    try:
        listing = (await repository.git("ls-tree", "-r", "-z", "--full-tree", commit)).stdout
    except TrimtabError:
        await repository.require_commit(commit)
        raise
    files = []
    for row in listing.split(b"\0")[:-1]:
        kind, _, name = row.partition(b"\t")
        path = name.decode("utf-8", "surrogateescape")
        if kind.startswith(b"160000 "):
            raise failure(
                "git-submodule",
                f"`{path}` is a submodule, and Trimtab does not fetch submodules",
                "commit its files instead, or install it as a package in a pipeline step",
                f"{repository.path.name} at {commit[:12]}",
            )
        mode, _, content = kind.decode().split(" ")
        files.append(InputFile(path, mode, content))
    return tuple(sorted(files, key=lambda file: file.path))


async def _write_all(repository: Repository, commit: str, into: Path, index: Path) -> None:
    words = ("read-tree", "--reset", "-u", f"{commit}^{{tree}}")
    await repository.git(f"--work-tree={into}", *words, env={"GIT_INDEX_FILE": str(index)})


async def _write_some(
    repository: Repository, files: Sequence[InputFile], only: frozenset[str], into: Path, index: Path
) -> None:
    """By an index of these files alone, and of those that say how files are written: they go afterwards."""
    wanted = [file for file in files if file.path in only or posixpath.basename(file.path) == _ATTRIBUTES]
    rows = b"".join(os.fsencode(f"{file.mode} {file.content}\t{file.path}\0") for file in wanted)
    place, env = f"--work-tree={into}", {"GIT_INDEX_FILE": str(index)}
    await repository.git(place, "update-index", "-z", "--index-info", stdin=rows, env=env)
    await repository.git(place, "checkout-index", "--all", "--force", env=env)
    for file in wanted:
        if file.path not in only:
            _unwrite(into, file.path)


def _unwrite(folder: Path, path: str) -> None:
    """Remove a file, and the folders in which nothing else is."""
    (folder / path).unlink()
    for parent in (folder / path).relative_to(folder).parents[:-1]:
        try:
            (folder / parent).rmdir()
        except OSError:
            return


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _clear(folder: Path, index: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    index.unlink(missing_ok=True)
    index.with_name(index.name + ".lock").unlink(missing_ok=True)
