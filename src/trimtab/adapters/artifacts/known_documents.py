"""What is known of a step's documents as one tree: a file for all of them, which keeps their bytes as any tree does."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab.core.model.documents import Files, Results
from trimtab.core.model.identity import Digest
from trimtab.core.model.tree import TreeEntry

_SPARE = 1000
"""So many documents more than twice those that there are may be remembered: of other branches, of earlier commits."""


def as_tree(known: Results) -> tuple[TreeEntry, ...]:
    """The files of each document in a folder that is named by the document's key."""
    return tuple(
        TreeEntry(f"{key.removeprefix('sha256:')}/{file.path}", file.mode, file.digest, file.size_bytes)
        for key, files in known.items()
        for file in files
    )


def listed(tree: Iterable[TreeEntry]) -> dict[Digest, Files]:
    """The reverse of `as_tree`."""
    found: dict[Digest, list[TreeEntry]] = {}
    for entry in tree:
        name, _, path = entry.path.partition("/")
        found.setdefault(f"sha256:{name}", []).append(TreeEntry(path, entry.mode, entry.digest, entry.size_bytes))
    return {key: tuple(files) for key, files in found.items()}


def together(known: Results, current: Results) -> dict[Digest, Files]:
    """What is remembered when these are the documents that there are: what was known first stays."""
    if len(known.keys() - current.keys()) > len(current) + _SPARE:
        return {key: known.get(key, files) for key, files in current.items()}
    return {**current, **known}
