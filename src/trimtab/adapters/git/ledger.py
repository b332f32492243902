"""What every environment should run, as of one commit. Follows the branch by reading only what changed, so that a
commit costs the same with ten environments and with ten thousand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping

from trimtab.adapters.git.repository import Repository
from trimtab.core.errors import TrimtabError
from trimtab.core.model.desired import desired_path, environment_of, parse_desired
from trimtab.core.model.identity import EnvironmentId
from trimtab.ports.source import Desired

_COMMIT = "%x00%H%x00%an%x00%s"


class Ledger:
    """The state files of one repository with the commits that touched them last."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._head: str | None = None
        self._known: dict[EnvironmentId, Desired] = {}
        self._reading = asyncio.Lock()

    async def at(self, head: str) -> Mapping[EnvironmentId, Desired]:
        """What is desired at the branch's `head`."""
        async with self._reading:
            if head != self._head:
                continues = self._head is not None and await self._repository.is_ancestor(self._head, head)
                if not continues:
                    self._known = {}
                await self._follow(self._head if continues else None, head)
                self._head = head
            return self._known

    async def touched(self, since: str | None, head: str) -> Mapping[EnvironmentId, tuple[str, str, str]]:
        """The environments whose files changed after `since` (None, or a commit that is not before `head`: all that
        ever did), each with the newest commit that touched it, its author and its subject."""
        continues = since is not None and await self._repository.is_ancestor(since, head)
        span = f"{since}..{head}" if continues else head
        answer = await self._repository.git(
            "log", "--topo-order", "--no-renames", "--cc", "--name-only", f"--format={_COMMIT}", span
        )
        found: dict[EnvironmentId, tuple[str, str, str]] = {}
        commit = ("", "", "")
        for line in answer.text.split("\n"):
            if line.startswith("\0"):
                _, name, author, subject = line.split("\0", 3)
                commit = (name, author, subject)
            elif (environment := environment_of(line)) is not None:
                found.setdefault(environment, commit)
        return found

    async def _follow(self, since: str | None, head: str) -> None:
        touched = await self.touched(since, head)
        contents = await self._contents(head, touched)
        for environment, (commit, author, subject) in touched.items():
            content = contents.get(environment)
            if content is None:
                self._known.pop(environment, None)
            else:
                self._known[environment] = self._parse(environment, content, commit, author, subject)

    async def _contents(self, head: str, environments: Collection[EnvironmentId]) -> Mapping[EnvironmentId, bytes]:
        """The files' bytes at a commit, all in one call; those that are missing there are left out."""
        asked = "".join(f"{head}:{desired_path(environment)}\n" for environment in environments)
        if not asked:
            return {}
        answer = (await self._repository.git("cat-file", "--batch", "--buffer", stdin=os.fsencode(asked))).stdout
        found: dict[EnvironmentId, bytes] = {}
        begin = 0
        for environment in environments:
            end = answer.index(b"\n", begin)
            fields = answer[begin:end].split(b" ")
            begin = end + 1
            if len(fields) != 3 or not fields[2].isdigit():
                continue  # missing
            size = int(fields[2])
            if fields[1] == b"blob":
                found[environment] = answer[begin : begin + size]
            begin += size + 1
        return found

    def _parse(self, environment: EnvironmentId, content: bytes, commit: str, author: str, subject: str) -> Desired:
        where = f"{self._repository.path.name} {desired_path(environment)} at {commit[:12]}"
        try:
            return Desired(parse_desired(content, where), commit, author, subject)
        except TrimtabError as error:
            return Desired(None, commit, author, subject, error.problem)
