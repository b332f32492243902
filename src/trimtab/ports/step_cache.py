"""What steps have given, by what they were given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from trimtab.core.model.documents import Results
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import StepResult
from trimtab.core.model.tree import MadeFile, TreeEntry


class StepCache(Protocol):
    """Results of steps by their keys, and the trees of their outputs. All of it may be removed at any time: then steps
    run again.

    The cache has parts (`scopes`), so that what somebody may have poisoned is not found by those who must not rely on
    it. Errors are `TrimtabError`: `step-cache-io`, `tool-missing`, `outputs-missing`.
    """

    async def toolchain(self, tools: Sequence[str]) -> str:
        """What this machine and these programs are known by: it differs when one of them is another version.
        Raises `tool-missing`."""
        ...

    async def find(self, key: str, scopes: Sequence[str]) -> StepResult | None:
        """What the step gave whose key this is: the first of the scopes that knows it says so. Only if its outputs are
        still there and whole as far as can be seen without reading them all."""
        ...

    async def keep(self, key: str, scope: str, result: StepResult) -> None:
        """Remember a result. One that is known already stays: the first to come is what others have built on."""
        ...

    async def put(self, folder: Path) -> Digest:
        """Keep the files of a folder; the digest of their tree. The same files give the same digest."""
        ...

    async def folder(self, outputs: Digest) -> Path:
        """A read-only folder with the tree's files, every byte verified before this returns. It stays for an hour at
        least after it was asked for. Raises `outputs-missing`."""
        ...

    async def has(self, outputs: Digest) -> bool:
        """Whether the tree is here."""
        ...

    async def tree(self, outputs: Digest) -> tuple[TreeEntry, ...]:
        """The files of a tree that was put here. Raises `outputs-missing`."""
        ...

    async def made(self, outputs: Digest) -> tuple[MadeFile, ...]:
        """The files of a tree, and where their bytes are: not verified, and not to be changed. They stay for an hour at
        least. Raises `outputs-missing`."""
        ...

    async def compose(self, files: Iterable[TreeEntry]) -> Digest:
        """A tree of files whose bytes are here, under whichever paths: as if a folder with them had been put, but none
        of them is read or written. Raises `outputs-missing` when one of them is not here."""
        ...

    async def documents(self, key: str, scopes: Sequence[str]) -> Results:
        """What is known of documents, for a step that works document by document: of each, the first of the scopes that
        knows it says so. `key`: the step's, without its documents. Only what is here, as far as can be seen without
        reading it."""
        ...

    async def keep_documents(self, key: str, scope: str, results: Results) -> None:
        """Remember what is known of documents now: those of `results`, which are all that there are, whose bytes are
        here. What is known already stays, but others may be forgotten when there are many of them."""
        ...

    async def trim(self, max_bytes: int, keep: Collection[Digest]) -> int:
        """Remove what was not used for longest until the rest is no larger; how many bytes were freed. What was used
        within the last hour stays, and so do the outputs `keep`."""
        ...
