"""A StateRepository in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.core.errors import TrimtabError
from trimtab.core.model.desired import desired_path, environment_of, parse_desired, render_desired
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.ports.source import Desired
from trimtab.testing.faults import Faults

KEY_TRAILER = "Trimtab-Key"


@dataclass(frozen=True, slots=True)
class _Commit:
    id: str
    author: str
    subject: str
    body: str
    trailers: Mapping[str, str]
    files: Mapping[str, bytes]


class MemoryStateRepository:
    """`StateRepository` without Git. `faults` makes methods fail or hang."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._commits: list[_Commit] = []

    def push(self, files: Mapping[str, bytes | None], *, author: str = "Ada", subject: str = "Edit by hand") -> str:
        """A commit by someone else (None: the file removed); its id."""
        return self._add(files, author, subject, "", {})

    async def head(self) -> str | None:
        await self.faults.here("head")
        return self._commits[-1].id if self._commits else None

    async def desired(self, environment: EnvironmentId) -> Desired | None:
        await self.faults.here("desired")
        path = desired_path(environment)
        content = self._commits[-1].files.get(path) if self._commits else None
        if content is None:
            return None
        touched = self._commits[0]
        for before, after in zip(self._commits, self._commits[1:], strict=False):
            if before.files.get(path) != after.files.get(path):
                touched = after
        try:
            release = parse_desired(content, f"state.git {path} at {touched.id[:12]}")
        except TrimtabError as error:
            return Desired(None, touched.id, touched.author, touched.subject, error.problem)
        return Desired(release, touched.id, touched.author, touched.subject)

    async def touched(self, since: str | None) -> tuple[EnvironmentId, ...]:
        await self.faults.here("touched")
        ids = [commit.id for commit in self._commits]
        begin = ids.index(since) + 1 if since in ids else 0
        files = [{}, *(commit.files for commit in self._commits)]
        changed: dict[EnvironmentId, None] = {}
        for before, after in zip(files[begin:], files[begin + 1 :], strict=False):
            for path in sorted(before.keys() | after.keys()):
                environment = environment_of(path)
                if environment is not None and before.get(path) != after.get(path):
                    changed[environment] = None
        return tuple(changed)

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
        await self.faults.here("write")
        key = " ".join(key.split())
        for commit in self._commits:
            if commit.trailers.get(KEY_TRAILER) == key:
                return commit.id
        flat = {name: " ".join(value.split()) for name, value in trailers.items()}
        files = {desired_path(environment): render_desired(environment, release)}
        written = self._add(files, author, subject, body, {**flat, KEY_TRAILER: key})
        await self.faults.here("write-answer")
        return written

    async def log(self, limit: int = 50) -> tuple[Mapping[str, str], ...]:
        await self.faults.here("log")
        return tuple(
            {**commit.trailers, "commit": commit.id, "author": commit.author, "at": "0", "subject": commit.subject}
            for commit in self._commits[: -limit - 1 : -1]
        )

    def _add(
        self, files: Mapping[str, bytes | None], author: str, subject: str, body: str, trailers: Mapping[str, str]
    ) -> str:
        before = self._commits[-1].files if self._commits else {}
        merged = {path: content for path, content in {**before, **files}.items() if content is not None}
        name = hashlib.sha1(f"{len(self._commits)} {subject}".encode()).hexdigest()
        self._commits.append(_Commit(name, author, " ".join(subject.split()), body, trailers, merged))
        return name
