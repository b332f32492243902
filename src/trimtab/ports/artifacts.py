"""Content-addressed, immutable bytes, and releases made of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from trimtab.core.errors import Problem
from trimtab.core.model.identity import Digest
from trimtab.core.model.release import Manifest
from trimtab.core.model.specification import Specification
from trimtab.core.model.tree import MadeFile, TreeEntry


class Artifacts(Protocol):
    """Where releases are kept. Errors are `TrimtabError` (`artifact-missing`, `artifact-corrupt`, `part-empty`,
    `part-refused`, `prompt-missing`, `model-file`)."""

    async def cut(
        self, workspace: Path, tracked: Sequence[str], specification: Specification, made: Sequence[MadeFile] = ()
    ) -> Manifest:
        """Store the release's parts from the workspace and its manifest. `made`: files without links that count as if
        they were in the workspace, apart from all that is; `outputs-missing` if one has not the bytes that it should.

        `.` in a part means every tracked path; any other path means that file, or everything below that folder, tracked
        or not. A file goes to the part that names it by the longest path. Symlinks that leave the workspace, and a part
        with no file, are refused. The manifest says of each prompt which version of it this is, and of each file of the
        model what it is. The same inputs give the same digest, whatever the clock, folder, user or order.
        """
        ...

    async def manifest(self, release: Digest) -> Manifest:
        """The manifest, verified against its digest."""
        ...

    async def releases(self) -> tuple[Digest, ...]:
        """All releases kept, sorted."""
        ...

    async def files(self, release: Digest) -> Mapping[str, tuple[TreeEntry, ...]]:
        """The files of each part, sorted by path."""
        ...

    async def read(self, release: Digest, digests: Collection[Digest]) -> Mapping[Digest, bytes]:
        """The bytes of files of the release, verified. Those that are in none of its files are left out. The caller
        sees from `files` how much it asks for."""
        ...

    async def materialise(self, release: Digest) -> Path:
        """A folder with the release's files, read-only, every byte verified before this returns. It is named by the hex
        digits of the release's digest, beside those of others. Idempotent."""
        ...

    async def attest(self, release: Digest, name: str, bundle: bytes) -> None:
        """Keep what is attested of the release under a name (lower-case letters, digits, `-`), in place of what was
        kept under it; whole or not at all. It goes with the release. Raises `artifact-missing`."""
        ...

    async def retract(self, release: Digest, names: Collection[str]) -> None:
        """Keep no longer what is attested under these names, as far as it is there."""
        ...

    async def attestations(self, release: Digest) -> Mapping[str, bytes]:
        """All that is attested of the release, by name, as it was kept; nothing of it is verified. Empty for what is
        no release."""
        ...

    async def examine(self, release: Digest) -> tuple[Problem, ...]:
        """All that is wrong with the release as it is kept: its manifest, its lists of files, every byte."""
        ...

    async def collect(self, keep: Collection[Digest]) -> int:
        """Remove every release that is not in `keep` and the bytes only they needed; how many bytes were freed.

        Safe beside a `cut`: a release that was cut a short while ago may be spared, since `keep` may be older than it.
        """
        ...
