"""Content-addressed, immutable bytes, and releases made of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from trimtab.core.model.identity import Digest
from trimtab.core.model.release import Manifest
from trimtab.core.model.specification import Specification
from trimtab.core.model.tree import MadeFile


class Artifacts(Protocol):
    """Where releases are kept. Errors are `TrimtabError` (`artifact-missing`, `artifact-corrupt`, `part-empty`,
    `part-refused`)."""

    async def cut(
        self, workspace: Path, tracked: Sequence[str], specification: Specification, made: Sequence[MadeFile] = ()
    ) -> Manifest:
        """Store the release's parts from the workspace and its manifest. `made`: files without links that count as if
        they were in the workspace, apart from all that is; `outputs-missing` if one has not the bytes that it should.

        `.` in a part means every tracked path; any other path means that file, or everything below that folder, tracked
        or not. A file goes to the part that names it by the longest path. Symlinks that leave the workspace, and a part
        with no file, are refused. The same inputs give the same digest, whatever the clock, folder, user or order.
        """
        ...

    async def manifest(self, release: Digest) -> Manifest:
        """The manifest, verified against its digest."""
        ...

    async def releases(self) -> tuple[Digest, ...]:
        """All releases kept, sorted."""
        ...

    async def materialise(self, release: Digest) -> Path:
        """A folder with the release's files, read-only, every byte verified before this returns. Idempotent."""
        ...

    async def collect(self, keep: Collection[Digest]) -> int:
        """Remove every release that is not in `keep` and the bytes only they needed; how many bytes were freed.

        Safe beside a `cut`: a release that was cut a short while ago may be spared, since `keep` may be older than it.
        """
        ...
