"""Making bare repositories and running Git in them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from trimtab.adapters.git import command, hooks
from trimtab.adapters.git.command import Finished
from trimtab.adapters.git.layout import STATE, repository_path
from trimtab.core.errors import failure

_ID = re.compile(r"[0-9a-f]{4,64}")
_WHOLE_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMON = """
[http]
\treceivepack = true
"""
# The state repository's history is the record of what ran, and finding what was already written depends on it.
_APPEND_ONLY = """
[receive]
\tdenyDeletes = true
\tdenyNonFastForwards = true
"""


async def create(home: Path, name: str, timeout_s: float) -> None:
    """Make the repository, with its hooks, unless it is there. A crash leaves all of it or nothing."""
    path = repository_path(home, name)
    if path.is_dir():
        return
    home.mkdir(parents=True, exist_ok=True)
    half_made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=home))
    try:
        await command.run(
            "init", "--bare", "--quiet", "--template=", str(half_made), where=path.name, timeout_s=timeout_s
        )
        with (half_made / "config").open("a") as config:
            config.write(_COMMON + (_APPEND_ONLY if name == STATE else ""))
        hooks.install(half_made, home, name)
        half_made.chmod(0o755)
        half_made.rename(path)
    except OSError as error:
        if not path.is_dir():
            raise failure("git-create", f"cannot make {path}: {error.strerror}", "see that it is writable") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, half_made, ignore_errors=True)


class Repository:
    """One bare repository and the commands run in it."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.path = path
        self.timeout_s = timeout_s

    def require(self) -> None:
        """Raises `TrimtabError` (`git-repository-missing`) when it does not exist."""
        if not self.path.is_dir():
            raise failure(
                "git-repository-missing",
                f"there is no repository {self.path.name}",
                f"push to it, or make it with `git init --bare {self.path}`",
            )

    async def git(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        ok: tuple[int, ...] | None = (0,),
    ) -> Finished:
        """`git ARGS` in this repository. Raises `TrimtabError`, see `command.run`."""
        self.require()
        return await command.run(
            *args,
            where=self.path.name,
            git_dir=self.path,
            stdin=stdin,
            env=env,
            timeout_s=self.timeout_s,
            ok=ok,
        )

    async def branch(self, ref: str) -> str | None:
        """The commit that `ref` (``refs/heads/...``) names; None when there is none.

        Read from the repository's files where they say it: this is asked all the time, and a process costs a hundred
        times more."""
        self.require()
        with suppress(OSError, UnicodeDecodeError):
            loose = (self.path / ref).read_text().strip()
            if _WHOLE_ID.fullmatch(loose):
                return loose
        answer = await self.git("rev-parse", "--quiet", "--verify", ref, ok=(0, 1))
        return answer.text or None

    def may_have(self, prefix: str) -> bool:
        """False: there is no ref whose name begins so (``refs/heads/pr/``), as the repository's files show."""
        self.require()
        if (self.path / prefix).is_dir():
            return True
        with suppress(OSError):
            return f" {prefix}".encode() in (self.path / "packed-refs").read_bytes()
        return (self.path / "reftable").exists()

    async def is_ancestor(self, before: str, after: str) -> bool:
        """Whether `before` is a commit that `after` was built on."""
        return (await self.git("merge-base", "--is-ancestor", before, after, ok=None)).code == 0

    async def blob(self, commit: str, path: str) -> bytes | None:
        """The bytes of a file of a commit (or branch); None when there is no such file."""
        if "\n" in path:
            return None
        answer = (await self.git("cat-file", "--batch", stdin=os.fsencode(f"{commit}:{path}\n"))).stdout
        header, _, rest = answer.partition(b"\n")
        fields = header.split(b" ")
        if len(fields) != 3 or fields[1] != b"blob":
            return None
        return rest[: int(fields[2])]

    async def has_commit(self, commit: str) -> bool:
        """Whether there is a commit of this id (or the beginning of one)."""
        return is_id(commit) and (await self.git("cat-file", "-e", f"{commit}^{{commit}}", ok=None)).code == 0

    async def require_commit(self, commit: str) -> None:
        """Raises `TrimtabError` (`git-commit-missing`) when the repository has no such commit."""
        if not await self.has_commit(commit):
            raise failure(
                "git-commit-missing",
                f"{self.path.name} has no commit {commit[:80]}",
                "push the branch again that it was on",
            )


def is_id(commit: str) -> bool:
    """Whether this can be a commit's id, and so neither an option nor an expression."""
    return _ID.fullmatch(commit) is not None
