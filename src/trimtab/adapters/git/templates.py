"""Files of other repositories: fetched once, kept by their digest, and looked up there from then on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from trimtab.adapters.git import remote
from trimtab.adapters.git.command import without_passwords
from trimtab.adapters.git.repository import Repository
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.template import TemplateAt, template_digest

MOST_BYTES = 1024 * 1024
LONGEST_S = 60.0
"""For all of it, whatever signs of life there are."""
_LIKE_SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^\s]+")
_TEMPLATE = "refs/heads/template"
_OF_THE_OTHER_SIDE = ("git-branch-missing", "git-auth")
"""What waiting does not mend."""


class Templates:
    """In the folder `home`. `protocols`: by which an address may be reached; whoever may push names addresses, so a
    file of this machine is none."""

    def __init__(self, home: Path, timeout_s: float, protocols: str) -> None:
        self._home, self._timeout_s, self._protocols = home, timeout_s, protocols

    async def get(self, at: TemplateAt, headers: Mapping[str, str]) -> bytes | None:
        """The file; None: the repository has no such file. See `Source.template`."""
        if at.digest and (known := await asyncio.to_thread(self._known, at.digest)) is not None:
            return known
        if not self._may_reach(at.repository):
            message = f"templates are not read from {without_passwords(at.repository)}"
            raise failure("template-refused", message, "name an address that begins with `https://` or `ssh://`")
        try:
            async with asyncio.timeout(LONGEST_S):
                content = await self._fetched(at, headers)
        except TimeoutError:
            raise _unreachable(at, f"it took more than {LONGEST_S:g} s") from None
        except TrimtabError as error:
            if error.problem.code in _OF_THE_OTHER_SIDE:
                raise failure("template-refused", error.problem.message, error.problem.hint, str(at)) from None
            raise _unreachable(at, error.problem.message) from None
        if content is not None and len(content) > MOST_BYTES:
            raise failure("template-refused", f"`{at}` is larger than 1 MiB", "it holds settings only", str(at))
        if content is not None:
            await asyncio.to_thread(self._keep, content)
        return content

    async def _fetched(self, at: TemplateAt, headers: Mapping[str, str]) -> bytes | None:
        self._home.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".fetch-", dir=self._home))
        try:
            repository = Repository(folder, self._timeout_s)
            await repository.git("init", "--bare", "--quiet", "--template=", str(folder))
            # A template is small, and the rest of its repository is no concern of ours.
            extra = ("--depth=1", "--filter=blob:limit=1m")
            env = {"GIT_ALLOW_PROTOCOL": self._protocols}
            await remote.fetch(repository, at.repository, at.ref or "HEAD", _TEMPLATE, headers, extra, env)
            return await repository.blob(_TEMPLATE, at.path)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _may_reach(self, url: str) -> bool:
        protocol, parted, _ = url.partition("://")
        if not parted:
            protocol = "ssh" if _LIKE_SCP.fullmatch(url) else ""
        return protocol in self._protocols.split(":")

    def _known(self, digest: str) -> bytes | None:
        with contextlib.suppress(OSError):
            content = self._path(digest).read_bytes()
            return content if template_digest(content) == digest else None
        return None

    def _keep(self, content: bytes) -> None:
        """Only time is lost where it cannot be kept."""
        path = self._path(template_digest(content))
        with contextlib.suppress(OSError):
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.write_bytes(content)
            draft.replace(path)

    def _path(self, digest: str) -> Path:
        return self._home / digest.removeprefix("sha256:")


def _unreachable(at: TemplateAt, why: str) -> TrimtabError:
    hint = "see whether the address is right and its server is up, and run it again"
    return failure("template-unreachable", f"the template cannot be fetched: {why}", hint, without_passwords(str(at)))
