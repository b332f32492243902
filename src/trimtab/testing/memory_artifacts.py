"""Artifacts in memory; releases are only written out to be looked at."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.core.errors import failure
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.release import Manifest, Part, digest_of
from trimtab.core.model.specification import Specification
from trimtab.core.model.tree import ALL_TRACKED, MadeFile, Mode, TreeEntry, clean_parts, encode_tree, part_of
from trimtab.testing.faults import Faults

_WHERE = "release.parts"


@dataclass(frozen=True, slots=True)
class _Bytes:
    mode: Mode
    content: bytes


class MemoryArtifacts:
    """`Artifacts` without a store; `folder` is where releases are written out. `faults` makes methods fail or hang."""

    def __init__(self, folder: Path) -> None:
        self.faults = Faults()
        self._folder = folder
        self._kept: dict[Digest, tuple[Manifest, dict[str, _Bytes]]] = {}
        self._corrupt: set[Digest] = set()

    def corrupt(self, release: Digest) -> None:
        """Damage the release's stored bytes."""
        self._corrupt.add(release)

    async def cut(
        self, workspace: Path, tracked: Sequence[str], specification: Specification, made: Sequence[MadeFile] = ()
    ) -> Manifest:
        await self.faults.here("cut")
        if made:
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder) / "whole"
                shutil.copytree(workspace, whole, symlinks=True)
                _lay(made, whole)
                return await self.cut(whole, tracked, specification)
        parts: dict[str, Part] = {}
        files: dict[str, _Bytes] = {}
        for name, found in _sort_into_parts(workspace, tracked, specification).items():
            if not found:
                raise failure("part-empty", f"part `{name}`: none of its paths has a file", "correct them", _WHERE)
            entries = [TreeEntry(p, f.mode, digest_of(f.content), len(f.content)) for p, f in found.items()]
            size_bytes = sum(entry.size_bytes for entry in entries)
            parts[name] = Part(digest_of(encode_tree(entries)), len(entries), size_bytes)
            files |= found
        manifest = Manifest(specification.app, parts, specification)
        self._kept[manifest.digest] = (manifest, files)
        self._corrupt.discard(manifest.digest)
        return manifest

    async def manifest(self, release: Digest) -> Manifest:
        await self.faults.here("manifest")
        return self._release(release)[0]

    async def releases(self) -> tuple[Digest, ...]:
        await self.faults.here("releases")
        return tuple(sorted(self._kept))

    async def materialise(self, release: Digest) -> Path:
        await self.faults.here("materialise")
        _, files = self._release(release)
        if release in self._corrupt:
            message = f"`{min(files)}` of release {short(release)} is damaged"
            raise failure("artifact-corrupt", message, "start the run of its commit again")
        folder = self._folder / release.removeprefix("sha256:")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path, file in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.mode == "link":
                target.symlink_to(os.fsdecode(file.content))
            else:
                target.write_bytes(file.content)
                target.chmod(0o555 if file.mode == "755" else 0o444)
        return folder

    async def collect(self, keep: Collection[Digest]) -> int:
        await self.faults.here("collect")
        before = self._bytes()
        self._kept = {release: kept for release, kept in self._kept.items() if release in keep}
        return before - self._bytes()

    def _bytes(self) -> int:
        contents = {file.content for _, files in self._kept.values() for file in files.values()}
        return sum(len(content) for content in contents)

    def _release(self, release: Digest) -> tuple[Manifest, dict[str, _Bytes]]:
        if release not in self._kept:
            raise failure("artifact-missing", f"there is no release {release}", "see `trimtab releases`")
        return self._kept[release]


def _lay(made: Sequence[MadeFile], into: Path) -> None:
    for file in made:
        target, at = into / file.entry.path, Path(file.at)
        if not at.exists() or digest_of(at.read_bytes()) != file.entry.digest:
            raise failure("outputs-missing", f"`{file.entry.path}` is damaged or gone", "run it again")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(at, target)
        target.chmod(0o755 if file.entry.mode == "755" else 0o644)


def _sort_into_parts(
    workspace: Path, tracked: Sequence[str], specification: Specification
) -> dict[str, dict[str, _Bytes]]:
    cleaned = clean_parts(specification.release.parts)
    owners = {path: part for part, paths in cleaned.items() for path in paths}
    found: dict[str, dict[str, _Bytes]] = {part: {} for part in cleaned}
    for named, part in owners.items():
        for path in sorted(tracked) if named == ALL_TRACKED else _below(workspace, named):
            owner = part_of(path, owners, path in tracked)
            if owner is not None:
                found[owner][path] = _read(workspace, part, path)
    return found


def _below(workspace: Path, named: str) -> Iterator[str]:
    top = workspace / named
    if top.is_dir() and not top.is_symlink():
        for path in top.rglob("*"):
            if path.is_symlink() or not path.is_dir():
                yield str(path.relative_to(workspace))
    else:
        yield named


def _read(workspace: Path, part: str, path: str) -> _Bytes:
    full = workspace / path
    if full.is_symlink():
        target = os.readlink(full)
        if os.path.isabs(target) or not full.resolve().is_relative_to(workspace.resolve()):
            raise failure("part-refused", f"part `{part}`: `{path}` links out of the workspace", "copy it", _WHERE)
        return _Bytes("link", os.fsencode(target))
    if not full.exists():
        raise failure("part-empty", f"part `{part}`: `{path}` does not exist", "correct the path", _WHERE)
    if not full.is_file():
        raise failure("part-refused", f"part `{part}`: `{path}` is no file", "remove it", _WHERE)
    return _Bytes("755" if full.stat().st_mode & 0o100 else "644", full.read_bytes())
