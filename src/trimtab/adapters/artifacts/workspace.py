"""Which files of a workspace go into which part, and how they are stored."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.artifacts.blobs import Blobs
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.identity import Digest
from trimtab.core.model.tree import ALL_TRACKED, MadeFile, Mode, TreeEntry, clean_parts, encode_tree, part_of

_WHERE = "release.parts"


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a workspace. `target` is what a symbolic link says."""

    path: str
    mode: Mode
    target: bytes = b""
    made: MadeFile | None = None
    """It is not there, but elsewhere."""


def sort_into_parts(
    workspace: Path, tracked: Sequence[str], parts: Mapping[str, Sequence[str]], made: Sequence[MadeFile] = ()
) -> dict[str, tuple[Found, ...]]:
    """The files of every part, sorted by path. `made` is in no other's way, and has no links.

    Raises `TrimtabError`: `part-empty` for a path that does not exist or a part that gets no file, `part-refused` for
    what cannot be kept: links out of the workspace, sockets and devices, names that are not UTF-8.
    """
    cleaned = clean_parts(parts)
    owners = {path: part for part, paths in cleaned.items() for path in paths}
    known = frozenset(tracked)
    root = os.path.realpath(workspace)
    sorted_out: dict[str, dict[str, Found]] = {part: {} for part in cleaned}
    for each in made:
        owner = part_of(each.entry.path, owners, tracked=False)
        if owner is not None:
            sorted_out[owner][each.entry.path] = Found(each.entry.path, each.entry.mode, made=each)
    for named, part in owners.items():
        if not os.path.lexists(workspace / named) and any(_is_in(each.entry.path, named) for each in made):
            continue
        for path in _paths_of(workspace, part, named, tracked):
            owner = part_of(path, owners, path in known)
            if owner is not None and path not in sorted_out[owner]:
                sorted_out[owner][path] = _examine(root, owner, path)
    for part, found in sorted_out.items():
        if not found:
            raise _empty(part, f"none of its paths ({', '.join(cleaned[part])}) has a file that no other part names")
    return {part: tuple(found[path] for path in sorted(found)) for part, found in sorted_out.items()}


def everything_in(folder: Path) -> Iterator[Found]:
    """Every file and link below a folder, whatever Git knows of it. Raises `TrimtabError` (`part-refused`)."""
    root = os.path.realpath(folder)
    for path in sorted(_below(folder, folder)):
        yield _examine(root, "outputs", path)


def store_tree(blobs: Blobs, folder: Path, files: Iterable[Found]) -> tuple[Digest, tuple[TreeEntry, ...]]:
    """Store the bytes of `files` and the tree that names them; the tree's digest and entries."""
    entries = []
    for file in files:
        if file.made is not None:
            blobs.put_known(file.made.entry.digest, file.made.at)
            entries.append(file.made.entry)
            continue
        if file.mode == "link":
            digest, size_bytes = blobs.put_bytes(file.target), len(file.target)
        else:
            digest, size_bytes = blobs.put_file(folder / file.path)
        entries.append(TreeEntry(file.path, file.mode, digest, size_bytes))
    return blobs.put_bytes(encode_tree(entries)), tuple(entries)


def _paths_of(workspace: Path, part: str, named: str, tracked: Sequence[str]) -> Iterator[str]:
    if named == ALL_TRACKED:
        for path in tracked:
            if not os.path.lexists(workspace / path):
                raise _empty(part, f"`{path}` is tracked by Git but gone from the workspace: did a step remove it?")
            yield path
        return
    top = workspace / named
    if not os.path.lexists(top):
        raise _empty(part, f"`{named}` does not exist")
    if top.is_symlink() or not top.is_dir():
        yield named
        return
    yield from _below(workspace, top)


def _is_in(path: str, named: str) -> bool:
    return path == named or path.startswith(f"{named}/")


def _below(workspace: Path, top: Path) -> Iterator[str]:
    """The paths of all files and links below `top`, as `workspace` sees them."""
    for folder, folders, files in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*files, *links):
            yield os.path.relpath(os.path.join(folder, name), workspace)


def _examine(root: str, part: str, path: str) -> Found:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise _refused(part, ascii(path), "its name is not UTF-8", "rename it") from None
    full = os.path.join(root, path)
    if os.path.realpath(os.path.dirname(full)) != os.path.dirname(full):
        raise _refused(part, path, "it is reached through a symbolic link", "name the folder that the link points to")
    mode = os.lstat(full).st_mode
    if stat.S_ISLNK(mode):
        target = os.readlink(full)
        inside = os.path.realpath(full).startswith(root + os.sep)
        if os.path.isabs(target) or not inside:
            hint = "link to a file of the repository by a relative path, or copy the file in a step"
            raise _refused(part, path, f"it is a symbolic link out of the workspace, to `{target}`", hint)
        return Found(path, "link", os.fsencode(target))
    if not stat.S_ISREG(mode):
        raise _refused(part, path, "it is neither a file nor a symbolic link", "remove it in the step that makes it")
    return Found(path, "755" if mode & stat.S_IXUSR else "644")


def _empty(part: str, why: str) -> TrimtabError:
    hint = f"correct the paths of `{part}`, or add the pipeline step that makes the files"
    return failure("part-empty", f"part `{part}`: {why}", hint, _WHERE)


def _refused(part: str, path: str, why: str, hint: str) -> TrimtabError:
    return failure("part-refused", f"part `{part}`: `{path}` cannot be kept: {why}", hint, _WHERE)
