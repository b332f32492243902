"""Artifacts in memory; releases are only written out to be looked at."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.core.errors import Problem, failure
from trimtab.core.model.contents import model_file_versions, prompt_versions
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
        self._trees: dict[Digest, Mapping[str, tuple[TreeEntry, ...]]] = {}
        self._corrupt: set[Digest] = set()
        self.attested: dict[Digest, dict[str, bytes]] = {}
        """What is attested of each release. Tests change it."""

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
        trees: dict[str, tuple[TreeEntry, ...]] = {}
        for name, found in _sort_into_parts(workspace, tracked, specification).items():
            if not found:
                raise failure("part-empty", f"part `{name}`: none of its paths has a file", "correct them", _WHERE)
            entries = [TreeEntry(p, f.mode, digest_of(f.content), len(f.content)) for p, f in found.items()]
            size_bytes = sum(entry.size_bytes for entry in entries)
            parts[name] = Part(digest_of(encode_tree(entries)), len(entries), size_bytes)
            files |= found
            trees[name] = tuple(sorted(entries))
        everything = [entry for tree in trees.values() for entry in tree]
        prompts = prompt_versions(specification.release, everything)
        models = model_file_versions(specification.release, everything)
        manifest = Manifest(specification.app, parts, specification, prompts=prompts, model_files=models)
        self._trees[manifest.digest] = trees
        self._kept[manifest.digest] = (manifest, files)
        self._corrupt.discard(manifest.digest)
        return manifest

    async def manifest(self, release: Digest) -> Manifest:
        await self.faults.here("manifest")
        return self._release(release)[0]

    async def releases(self) -> tuple[Digest, ...]:
        await self.faults.here("releases")
        return tuple(sorted(self._kept))

    async def files(self, release: Digest) -> Mapping[str, tuple[TreeEntry, ...]]:
        await self.faults.here("files")
        self._release(release)
        return self._trees[release]

    async def read(self, release: Digest, digests: Collection[Digest]) -> Mapping[Digest, bytes]:
        await self.faults.here("read")
        contents = {digest_of(file.content): file.content for file in self._release(release)[1].values()}
        return {digest: contents[digest] for digest in digests if digest in contents}

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

    async def attest(self, release: Digest, name: str, bundle: bytes) -> None:
        await self.faults.here("attest")
        self._release(release)
        self.attested.setdefault(release, {})[name] = bundle

    async def retract(self, release: Digest, names: Collection[str]) -> None:
        await self.faults.here("retract")
        for name in names:
            self.attested.get(release, {}).pop(name, None)

    async def attestations(self, release: Digest) -> Mapping[str, bytes]:
        await self.faults.here("attestations")
        return dict(self.attested.get(release, {}))

    async def examine(self, release: Digest) -> tuple[Problem, ...]:
        await self.faults.here("examine")
        if release not in self._kept:
            return (Problem("artifact-missing", f"there is no release {release}", "see `trimtab releases`"),)
        message = f"release {short(release)} is damaged"
        return (Problem("artifact-corrupt", message),) if release in self._corrupt else ()

    async def collect(self, keep: Collection[Digest]) -> int:
        await self.faults.here("collect")
        before = self._bytes()
        self._kept = {release: kept for release, kept in self._kept.items() if release in keep}
        self.attested = {release: kept for release, kept in self.attested.items() if release in self._kept}
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
