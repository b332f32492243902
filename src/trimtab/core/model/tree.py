"""What a part of a release is made of: a tree, the canonical list of its files."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trimtab.core.errors import failure
from trimtab.core.model.identity import Digest
from trimtab.core.model.release import canonical_json

Mode = Literal["644", "755", "link"]
ALL_TRACKED = "."
"""The path that stands for every file that Git tracks."""
LARGE_BYTES = 16 * 1024 * 1024
"""From this size on a file is kept once, whatever is made of it, and not read more often than it must be."""


@dataclass(frozen=True, slots=True, order=True)
class TreeEntry:
    """One file. `digest` and `size_bytes` are of its bytes; for a symbolic link, of its target's text."""

    path: str
    mode: Mode
    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that belongs into a workspace and is not there: its bytes are in the file `at`."""

    entry: TreeEntry
    at: str


def are_apart(paths: Iterable[str]) -> bool:
    """Whether files of these paths could lie in one folder: none comes twice, and none lies below another."""
    seen: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        if path in seen:
            return False
        seen.add(path)
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return seen.isdisjoint(folders)


def encode_tree(entries: Iterable[TreeEntry]) -> bytes:
    """The tree's canonical bytes, whose digest names it. The order of `entries` does not matter."""
    in_order = sorted(entries, key=lambda entry: entry.path)  # which no two have in common
    return canonical_json([[entry.path, entry.mode, entry.digest, entry.size_bytes] for entry in in_order])


def decode_tree(content: bytes) -> tuple[TreeEntry, ...]:
    """The entries of `encode_tree`, sorted by path. `content` must have been verified against its digest."""
    return tuple(TreeEntry(*row) for row in json.loads(content))


def clean_path(part: str, path: str) -> str:
    """A part's path without `./`, doubled and trailing slashes. Raises `TrimtabError` (`part-refused`) for one that
    could lead out of the workspace."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path or not path:
        raise failure(
            "part-refused",
            f"part `{part}`: `{path}` is not a path inside the repository",
            "write it relative to the top of the repository, without `..`",
            "release.parts",
        )
    return posixpath.normpath(path)


def clean_parts(parts: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Every part's paths as `clean_path` gives them. Raises `part-refused` when two parts name the same path."""
    owner: dict[str, str] = {}
    cleaned: dict[str, tuple[str, ...]] = {}
    for part, paths in parts.items():
        cleaned[part] = tuple(dict.fromkeys(clean_path(part, path) for path in paths))
        for path in cleaned[part]:
            if path in owner:
                raise failure(
                    "part-refused",
                    f"parts `{owner[path]}` and `{part}` both name `{path}`",
                    "name each path in one part only",
                    "release.parts",
                )
            owner[path] = part
    return cleaned


def part_of(path: str, owners: Mapping[str, str], tracked: bool) -> str | None:
    """The part that names `path` most closely. `owners`: cleaned path -> part; `.` takes only what is tracked."""
    prefix = path
    while prefix:
        if prefix in owners:
            return owners[prefix]
        prefix = prefix.rpartition("/")[0]
    return owners.get(ALL_TRACKED) if tracked else None


def in_parts(tracked: Iterable[str], parts: Mapping[str, Sequence[str]]) -> list[str]:
    """Those of the tracked paths that some part takes. Raises `TrimtabError` as `clean_parts` does."""
    owners = {path: part for part, paths in clean_parts(parts).items() for path in paths}
    return [path for path in tracked if part_of(path, owners, tracked=True) is not None]
