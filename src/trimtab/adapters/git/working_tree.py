"""A folder as it is now, as a commit: what has changed and what is new in it is part of it, ignored files are not.

The user's index, refs, working tree and objects stay as they are: Git is given an index and a place for objects that
are ours, and reads the user's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.git import command
from trimtab.adapters.git.layout import app_path
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.facts import Change
from trimtab.core.say import count

OURS = ".trimtab"
"""The folder of an installation: never part of what it runs."""
DETACHED = "HEAD"
"""The branch of a working tree that is on none."""
_TIMEOUT_S = 600.0
"""A folder with gigabytes of new files is read for long without a word."""
# Nothing of the user's may be written or run: no hook, no daemon, no housekeeping. Objects are ours and short-lived.
_QUIET = tuple(
    word
    for setting in (
        *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.splitIndex=false", "core.fsync=none", "gc.auto=0"),
        *("advice.addEmbeddedRepo=false", "core.safecrlf=false"),
    )
    for word in ("-c", setting)
)
_GITLINK = b"160000 "


@dataclass(frozen=True, slots=True)
class _Theirs:
    """The user's repository."""

    git_dir: str
    objects: str
    index: Path
    format: str
    head: str | None
    branch: str


class WorkingTree:
    """The folder `top`, whose commits go to the repository that `GitSource(home)` knows as `app`."""

    def __init__(self, top: Path, home: Path, app: str) -> None:
        self._top, self._repository = top.absolute(), app_path(home, app)

    @property
    def is_repository(self) -> bool:
        """Whether Git knows the folder. If not, all its files count as new."""
        return (self._top / ".git").exists()

    async def commit(self, actor: str, now: float, branch: str | None = None) -> Change:
        """The folder's files as a commit; the newest commit itself where nothing differs from it. `branch`: what it is
        said to be on, if not on what it is. Raises `TrimtabError` (`working-tree`, `git-missing`, `git-timeout`)."""
        theirs = await self._theirs() if self.is_repository else None
        await self._prepare(theirs)
        with self._index(theirs) as index:
            env = self._env(theirs, index)
            await self._add(env)
            await self._leave_out_repositories(env, theirs)
            tree = (await self._git("write-tree", env=env)).text
        on = branch or (theirs.branch if theirs is not None else DETACHED)
        return await self._as_change(theirs, tree, Change("", on, actor, "", now))

    async def _theirs(self) -> _Theirs:
        words = ("--absolute-git-dir", "--git-path", "objects", "--git-path", "index", "--show-object-format")
        git_dir, objects, index, named = (await self._git("rev-parse", *words)).text.split("\n")
        head = await self._git("rev-parse", "--quiet", "--verify", "HEAD^{commit}", ok=None)
        branch = await self._git("symbolic-ref", "--quiet", "--short", "HEAD", ok=None)
        return _Theirs(
            *(git_dir, str(self._top / objects), self._top / index, named),
            head=head.text if head.code == 0 else None,
            branch=branch.text or DETACHED,
        )

    async def _prepare(self, theirs: _Theirs | None) -> None:
        """Our repository, which finds in the user's what it does not have itself."""
        named = theirs.format if theirs is not None else "sha1"
        mark = self._repository / "object-format"
        if not mark.is_file() or mark.read_text() != named:
            await asyncio.to_thread(shutil.rmtree, self._repository, ignore_errors=True)
            self._repository.parent.mkdir(parents=True, exist_ok=True)
            words = ("--bare", "--quiet", "--template=", f"--object-format={named}", str(self._repository))
            await command.run("init", *words, where=self._repository.name)
            mark.write_text(named)
        if theirs is not None:
            alternates = self._repository / "objects" / "info" / "alternates"
            alternates.parent.mkdir(parents=True, exist_ok=True)
            alternates.write_text(f"{theirs.objects}\n")

    @contextlib.contextmanager
    def _index(self, theirs: _Theirs | None) -> Iterator[Path]:
        """A copy of the user's index: it says which files are tracked, ignored ones too, and which have not changed.
        Where there is no repository, our own of the last time says the latter."""
        index = self._repository / "index-of-tree"
        if theirs is not None:
            with contextlib.suppress(FileNotFoundError):
                index.unlink()
                index.with_name(f"{index.name}.lock").unlink()
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(theirs.index, index)
        yield index

    def _env(self, theirs: _Theirs | None, index: Path) -> dict[str, str]:
        ours = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(self._top)}
        if theirs is None:
            return {**ours, "GIT_DIR": str(self._repository)}
        objects = {
            "GIT_OBJECT_DIRECTORY": str(self._repository / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": theirs.objects,
        }
        return {**ours, **objects, "GIT_DIR": theirs.git_dir}

    async def _add(self, env: Mapping[str, str]) -> None:
        # An exclusion that is ignored anyway is an error for Git.
        is_seen = (self._top / OURS).exists() and (
            await self._git("check-ignore", "--quiet", OURS, env=env, ok=None)
        ).code != 0
        await self._git("add", "--all", "--", ".", *((f":(exclude){OURS}",) if is_seen else ()), env=env)

    async def _leave_out_repositories(self, env: Mapping[str, str], theirs: _Theirs | None) -> None:
        """Other repositories that lie about in the folder: Git would record that they are there, and none of their
        files. Those that the user has recorded are submodules and stay."""
        found = await self._gitlinks(env)
        if found:
            theirs_env = None if theirs is None else {**env, "GIT_INDEX_FILE": str(theirs.index)}
            known = await self._gitlinks(theirs_env) if theirs_env is not None else set[bytes]()
            stray = b"".join(path + b"\0" for path in sorted(found - known))
            if stray:
                await self._git("update-index", "--force-remove", "-z", "--stdin", env=env, stdin=stray)

    async def _gitlinks(self, env: Mapping[str, str]) -> set[bytes]:
        listed = (await self._git("ls-files", "--stage", "-z", env=env)).stdout.split(b"\0")
        return {row.partition(b"\t")[2] for row in listed if row.startswith(_GITLINK)}

    async def _as_change(self, theirs: _Theirs | None, tree: str, change: Change) -> Change:
        head = None if theirs is None else theirs.head
        if head is None:
            subject = "the folder as it is now"
        elif (await self._ours("rev-parse", f"{head}^{{tree}}")).text == tree:
            subject = (await self._ours("log", "-1", "--format=%s", head, "--")).text
            return Change(head, change.branch, change.actor, subject, change.at)
        else:
            differs = (await self._ours("diff-tree", "-r", "-z", "--no-renames", "--name-only", head, tree)).stdout
            number = len(differs.split(b"\0")) - 1
            subject = f"{count(number, 'file')} {'differs' if number == 1 else 'differ'} from {head[:8]}"
        parents = () if head is None else ("-p", head)
        commit = (await self._ours("commit-tree", tree, *parents, "-m", subject)).text
        return Change(commit, change.branch, change.actor, subject, change.at)

    async def _ours(self, *args: str) -> command.Finished:
        return await command.run(*args, where=self._repository.name, git_dir=self._repository, timeout_s=_TIMEOUT_S)

    async def _git(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        ok: tuple[int, ...] | None = (0,),
    ) -> command.Finished:
        """As the user would call it: with the user's own settings of what is ignored and how files are kept."""
        words = ("-C", str(self._top), *_QUIET, *args)
        done = await command.run(
            *words, where=str(self._top), env=env, stdin=stdin, timeout_s=_TIMEOUT_S, ok=None, settings="users"
        )
        if ok is not None and done.code not in ok:
            raise self._failed(args[0], done)
        return done

    def _failed(self, name: str, done: command.Finished) -> TrimtabError:
        return failure(
            "working-tree",
            f"its files cannot be read as a commit: `git {name}`: {done.complaint}",
            f"see what `git -C {self._top} add --all --dry-run` says",
            str(self._top),
        )


def forget(home: Path) -> None:
    """Remove all that was made of working trees. Nothing may be at work on it."""
    for name in os.listdir(home) if home.is_dir() else ():
        shutil.rmtree(home / name, ignore_errors=True)
