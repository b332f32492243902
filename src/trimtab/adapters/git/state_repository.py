"""What should run where, as a Git repository."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from trimtab.adapters.git.command import git_failed
from trimtab.adapters.git.layout import STATE, STATE_BRANCH, repository_path
from trimtab.adapters.git.ledger import Ledger
from trimtab.adapters.git.repository import Repository, create
from trimtab.core.errors import failure
from trimtab.core.model.desired import desired_path, render_desired
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.ports.source import Desired

KEY_TRAILER = "Trimtab-Key"
_REF = f"refs/heads/{STATE_BRANCH}"
_TRAILER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_LOG_FIELDS = "%H%x00%an%x00%ct%x00%s%x00%(trailers:only,unfold)%x00"
_KEY_FIELDS = f"%m%H %(trailers:key={KEY_TRAILER},valueonly,separator=%x00)"
_ATTEMPTS = 50


class GitStateRepository:
    """`StateRepository` on the bare repository `HOME/state.git`, branch `main`; made when it is first used.

    A write builds its commit aside and then moves the branch from the very commit it was built on (compare and swap):
    if someone else was faster, it is built again on top of theirs. Pushes that would rewrite the branch are refused.
    """

    def __init__(self, home: Path, timeout_s: float = 30.0) -> None:
        self._home = home
        self._repository = Repository(repository_path(home, STATE), timeout_s)
        self._writing = asyncio.Lock()
        self._ledger = Ledger(self._repository)
        self._keys: dict[str, str] = {}
        self._keys_at: str | None = None

    async def head(self) -> str | None:
        await create(self._home, STATE, self._repository.timeout_s)
        return await self._repository.branch(_REF)

    async def desired(self, environment: EnvironmentId) -> Desired | None:
        head = await self.head()
        return None if head is None else (await self._ledger.at(head)).get(environment)

    async def touched(self, since: str | None) -> tuple[EnvironmentId, ...]:
        head = await self.head()
        return () if head is None else tuple(await self._ledger.touched(since, head))

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
        message = _message(subject, body, {**trailers, KEY_TRAILER: key})
        async with self._writing:
            for attempt in range(_ATTEMPTS):
                head = await self.head()
                if (written := await self._written(_one_line(key), head)) is not None:
                    return written
                tree = await self._tree_with(head, desired_path(environment), render_desired(environment, release))
                commit = await self._commit(tree, head, message, author)
                if await self._advance(head, commit):
                    return commit
                await asyncio.sleep(0.002 * attempt)
        raise failure(
            "git-busy",
            f"{self._repository.path.name} changed {_ATTEMPTS} times while a commit was being made",
            "see who pushes to it so often",
            str(environment),
        )

    async def log(self, limit: int = 50) -> tuple[Mapping[str, str], ...]:
        head = await self.head()
        if head is None:
            return ()
        answer = await self._repository.git("log", f"-{limit}", f"--format={_LOG_FIELDS}", head)
        fields = answer.text.split("\0")
        rows = zip(*(fields[i::5] for i in range(5)), strict=False)
        return tuple(_log_entry(*row) for row in rows)

    async def _written(self, key: str, head: str | None) -> str | None:
        """The oldest commit with this key. Only what was added since the last search is read."""
        if head is not None and head != self._keys_at:
            answer = await self._repository.git(
                "log", "--left-right", f"--format={_KEY_FIELDS}", f"{self._keys_at}...{head}" if self._keys_at else head
            )
            rows = [line for line in answer.text.split("\n") if line]
            if any(row.startswith("<") for row in rows):  # the branch was rewritten by hand: begin anew
                self._keys, self._keys_at = {}, None
                return await self._written(key, head)
            for row in reversed(rows):
                commit, _, keys = row[1:].partition(" ")
                for found in filter(None, keys.split("\0")):
                    self._keys.setdefault(found, commit)
            self._keys_at = head
        return self._keys.get(key)

    async def _tree_with(self, head: str | None, path: str, content: bytes) -> str:
        """The tree of `head` with the file `path` set to `content`."""
        git = self._repository.git
        blob = (await git("hash-object", "-w", "--stdin", stdin=content)).text
        index = self._repository.path / f"index-{secrets.token_hex(8)}"
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            if head is not None:
                await git("read-tree", head, env=env)
            await git("update-index", "--add", "--replace", "--cacheinfo", f"100644,{blob},{path}", env=env)
            return (await git("write-tree", env=env)).text
        finally:
            index.unlink(missing_ok=True)

    async def _commit(self, tree: str, parent: str | None, message: str, author: str) -> str:
        parents = ("-p", parent) if parent is not None else ()
        name = _one_line(re.sub(r"[<>]", "", author)) or "Trimtab"
        env = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": "trimtab@localhost"}
        return (await self._repository.git("commit-tree", tree, *parents, stdin=os.fsencode(message), env=env)).text

    async def _advance(self, head: str | None, commit: str) -> bool:
        """Move the branch from `head` to `commit`; False when it is no longer there."""
        done = await self._repository.git(
            "update-ref", "-m", "write", "--create-reflog", _REF, commit, head or "0" * len(commit), ok=None
        )
        if done.code != 0 and await self.head() == head:
            raise git_failed("update-ref", done, self._repository.path.name)
        return done.code == 0


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _message(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    lines = []
    for name, value in trailers.items():
        if _TRAILER_NAME.fullmatch(name) is None:
            raise failure("git-trailer", f"`{name}` cannot be a trailer's name", "use letters, digits and dashes")
        if flat := _one_line(value):
            lines.append(f"{name}: {flat}")
    paragraphs = (_one_line(subject) or "Set the release", body.strip(), "\n".join(lines))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _log_entry(commit: str, author: str, at: str, subject: str, trailers: str) -> Mapping[str, str]:
    named = (line.partition(": ") for line in trailers.splitlines() if ": " in line)
    own = {"commit": commit.lstrip("\n"), "author": author, "at": at, "subject": subject}
    return {name: value for name, _, value in named} | own
