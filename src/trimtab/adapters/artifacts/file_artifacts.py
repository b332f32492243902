"""The artifact store on a disk."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError

from trimtab.adapters.artifacts import release_folder
from trimtab.adapters.artifacts.attestations import Attestations
from trimtab.adapters.artifacts.blobs import Blobs, DamagedBlob, sync_folder
from trimtab.adapters.artifacts.locking import locked
from trimtab.adapters.artifacts.seals import Seals
from trimtab.adapters.artifacts.workspace import Found, sort_into_parts, store_tree
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.contents import model_file_versions, prompt_versions
from trimtab.core.model.identity import Digest, is_digest, short
from trimtab.core.model.release import SCHEMA, Manifest, Part, digest_of
from trimtab.core.model.specification import Specification
from trimtab.core.model.tree import MadeFile, TreeEntry, decode_tree

P = ParamSpec("P")
R = TypeVar("R")

_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)
_REPAIR = "start the run of its commit again: it stores the files anew; or deploy another release"


class FileArtifacts:
    """`Artifacts` in the folder `home`.

    - `blobs/ab/cdef...`: the bytes of files and of trees, by digest
    - `manifests/HEX.json`: what each release is; written last, so that a release that is listed is whole
    - `releases/HEX/`: a release's files, copied from the blobs: whoever changes them does not change the store. Large
      ones are links to their blobs, and a change is found by the seal
    - `seals/HEX`: what a large blob was when it was verified
    - `attestations/HEX/NAME.intoto.jsonl`: what is attested of a release; each file is written whole, or not at all
    - `releases/HEX/`: a release's files, copied from the blobs: whoever changes them does not change the store
    - `tmp/`, `lock`: files being written; the lock that many may share and only `collect` has alone

    `collect` spares a release that was cut within `grace_s`: who computed what to keep may not have known it yet.
    """

    def __init__(self, home: Path, grace_s: float = 3600.0) -> None:
        self._home = home.resolve()
        self._grace_s = grace_s
        self._temporary = self._home / "tmp"
        self._manifests = self._home / "manifests"
        self._releases = self._home / "releases"
        self._blobs = Blobs(self._home / "blobs", self._temporary, seals=Seals(self._home / "seals"))
        self._attestations = Attestations(self._home / "attestations", self._temporary)

    async def cut(
        self, workspace: Path, tracked: Sequence[str], specification: Specification, made: Sequence[MadeFile] = ()
    ) -> Manifest:
        return await self._in_thread(self._cut, workspace, tracked, specification, made)

    async def manifest(self, release: Digest) -> Manifest:
        return await self._in_thread(self._manifest, release)

    async def releases(self) -> tuple[Digest, ...]:
        return await self._in_thread(self._listed)

    async def files(self, release: Digest) -> Mapping[str, tuple[TreeEntry, ...]]:
        return await self._in_thread(self._files, release)

    async def read(self, release: Digest, digests: Collection[Digest]) -> Mapping[Digest, bytes]:
        return await self._in_thread(self._read, release, frozenset(digests))

    async def materialise(self, release: Digest) -> Path:
        return await self._in_thread(self._materialise, release)

    async def attest(self, release: Digest, name: str, bundle: bytes) -> None:
        await self._in_thread(self._attest, release, name, bundle)

    async def retract(self, release: Digest, names: Collection[str]) -> None:
        await self._in_thread(self._attestations.remove, release, names)

    async def attestations(self, release: Digest) -> Mapping[str, bytes]:
        return await self._in_thread(self._attestations.read, release)

    async def examine(self, release: Digest) -> tuple[Problem, ...]:
        return await self._in_thread(self._examine, release)

    async def collect(self, keep: Collection[Digest]) -> int:
        return await self._in_thread(self._collect, frozenset(keep))

    def folder(self, release: Digest) -> Path:
        """Where `materialise` puts the release."""
        return self._releases / _hex(release)

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            raise failure(
                "artifact-io",
                f"the artifact store cannot be used: {error.strerror} ({error.filename})",
                "see that its disk has space and that Trimtab may write there",
                str(self._home),
            ) from error

    # --- below, everything blocks and runs in a thread -------------------------------------------------------------

    def _cut(
        self, workspace: Path, tracked: Sequence[str], specification: Specification, made: Sequence[MadeFile]
    ) -> Manifest:
        with self._shared():
            files = sort_into_parts(workspace, tracked, specification.release.parts, made)
            stored: set[Digest] = set()
            entries: list[TreeEntry] = []
            try:
                parts = {name: self._store_part(workspace, found, stored, entries) for name, found in files.items()}
            except DamagedBlob as damaged:
                message = f"what a step has made is damaged or gone: it should be {short(damaged.digest)}"
                hint = "run the pipeline again: what is missing is made anew"
                raise failure("outputs-missing", message, hint, str(damaged.path)) from damaged
            new = Manifest(
                specification.app,
                parts,
                specification,
                prompts=prompt_versions(specification.release, entries),
                model_files=model_file_versions(specification.release, entries),
            )
            # Read back as it will be read later, so that 5 and 5.0 for a number of seconds are one release.
            manifest = _MANIFEST.validate_json(new.content())
            self._blobs.settle(stored)
            self._write_manifest(manifest)
            return manifest

    def _store_part(
        self, workspace: Path, files: Sequence[Found], stored: set[Digest], all_entries: list[TreeEntry]
    ) -> Part:
        tree, entries = store_tree(self._blobs, workspace, files)
        all_entries += entries
        stored |= {tree, *(entry.digest for entry in entries)}
        return Part(tree, len(entries), sum(entry.size_bytes for entry in entries))

    def _write_manifest(self, manifest: Manifest) -> None:
        handle, temporary = tempfile.mkstemp(dir=self._temporary)
        with os.fdopen(handle, "wb") as file:
            file.write(manifest.content())
            file.flush()
            os.fchmod(handle, 0o444)
            os.fsync(handle)
        # Replaced even if it is there: the release is young again, and `collect` spares it.
        os.replace(temporary, self._manifest_path(manifest.digest))
        sync_folder(self._manifests)

    def _manifest(self, release: Digest) -> Manifest:
        try:
            text = self._manifest_path(release).read_bytes() if is_digest(release) else None
        except FileNotFoundError:
            text = None
        if text is None:
            raise _missing(release, self._home)
        if digest_of(text) != release:
            raise _corrupt(release, "its manifest", self._manifest_path(release))
        try:
            manifest = _MANIFEST.validate_json(text)
        except ValidationError as error:
            raise _foreign(release, str(error)) from error
        if manifest.schema != SCHEMA:
            raise _foreign(release, f"its schema is `{manifest.schema}`")
        return replace(manifest, read_as=release)

    def _listed(self) -> tuple[Digest, ...]:
        return tuple(sorted(f"sha256:{path.stem}" for path in self._manifests.glob("*.json")))

    def _materialise(self, release: Digest) -> Path:
        with self._shared():
            entries = self._entries(release, self._manifest(release))
            folder = self.folder(release)
            with locked(self._releases / f".{folder.name}.lock", fcntl.LOCK_EX):
                try:
                    if folder.is_dir():
                        release_folder.mend(folder, entries, self._blobs)
                    else:
                        # It gets its name when it is whole; one begun before a crash is finished.
                        new = self._releases / f".{folder.name}.new"
                        new.mkdir(exist_ok=True)
                        release_folder.mend(new, entries, self._blobs)
                        new.rename(folder)
                except DamagedBlob as damaged:
                    names = [entry.path for entry in entries if entry.digest == damaged.digest]
                    raise _corrupt(release, f"`{names[0]}`", damaged.path) from damaged
            return folder

    def _files(self, release: Digest) -> Mapping[str, tuple[TreeEntry, ...]]:
        with self._shared():
            return self._trees(release, self._manifest(release))

    def _read(self, release: Digest, digests: frozenset[Digest]) -> Mapping[Digest, bytes]:
        with self._shared():
            mine = {entry.digest: entry for entry in self._entries(release, self._manifest(release))}
            found = {}
            for digest in sorted(digests & mine.keys()):
                try:
                    found[digest] = self._blobs.read(digest)
                except DamagedBlob as damaged:
                    raise _corrupt(release, f"`{mine[digest].path}`", damaged.path) from damaged
            return found

    def _entries(self, release: Digest, manifest: Manifest) -> tuple[TreeEntry, ...]:
        return tuple(entry for entries in self._trees(release, manifest).values() for entry in entries)

    def _trees(self, release: Digest, manifest: Manifest) -> dict[str, tuple[TreeEntry, ...]]:
        trees = {}
        for name, part in manifest.parts.items():
            try:
                trees[name] = decode_tree(self._blobs.read(part.digest))
            except DamagedBlob as damaged:
                raise _corrupt(release, f"the list of files of its part `{name}`", damaged.path) from damaged
        return trees

    def _attest(self, release: Digest, name: str, bundle: bytes) -> None:
        with self._shared():
            if not is_digest(release) or not self._manifest_path(release).exists():
                raise _missing(release, self._home)
            self._attestations.keep(release, name, bundle)

    def _examine(self, release: Digest) -> tuple[Problem, ...]:
        with self._shared():
            try:
                entries = self._entries(release, self._manifest(release))
            except TrimtabError as error:
                return error.problems
            found, sound = [], set[Digest]()
            for entry in entries:
                try:
                    if entry.digest not in sound:
                        self._blobs.check(entry.digest)
                        sound.add(entry.digest)
                except DamagedBlob as damaged:
                    found.append(_corrupt(release, f"`{entry.path}`", damaged.path).problem)
            return tuple(found)

    def _collect(self, keep: frozenset[Digest]) -> int:
        with self._alone():
            young = time.time() - self._grace_s
            listed = self._listed()
            kept = [r for r in listed if r in keep or self._manifest_path(r).stat().st_mtime > young]
            # A kept release that cannot be read ends this here: nobody knows then what it needs.
            needed: set[Digest] = set()
            for release in kept:
                manifest = self._manifest(release)
                needed |= {part.digest for part in manifest.parts.values()}
                needed |= {entry.digest for entry in self._entries(release, manifest)}
            freed_bytes = 0
            for release in set(listed) - set(kept):
                freed_bytes += release_folder.remove(self._manifest_path(release))
            freed_bytes += self._attestations.sweep(kept)
            names = {self.folder(release).name for release in kept}
            for path in (*self._releases.iterdir(), *self._temporary.iterdir()):
                if path.parent != self._releases or path.name not in names:
                    freed_bytes += release_folder.remove(path)
            return freed_bytes + self._blobs.sweep(needed)

    def _manifest_path(self, release: Digest) -> Path:
        return self._manifests / f"{_hex(release)}.json"

    def _shared(self) -> contextlib.AbstractContextManager[None]:
        return self._locked(fcntl.LOCK_SH)

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return self._locked(fcntl.LOCK_EX)

    def _locked(self, kind: int) -> contextlib.AbstractContextManager[None]:
        for folder in (self._home / "blobs", self._temporary, self._manifests, self._releases):
            folder.mkdir(parents=True, exist_ok=True)
        return locked(self._home / "lock", kind)


def _hex(release: Digest) -> str:
    return release.removeprefix("sha256:")


def _missing(release: Digest, home: Path) -> TrimtabError:
    hint = "`trimtab releases` lists those that are kept"
    return failure("artifact-missing", f"there is no release {release}", hint, str(home))


def _corrupt(release: Digest, what: str, path: Path) -> TrimtabError:
    message = f"{what} of release {short(release)} is damaged or gone in the artifact store"
    return failure("artifact-corrupt", message, _REPAIR, str(path))


def _foreign(release: Digest, why: str) -> TrimtabError:
    message = f"release {short(release)} was cut by another version of Trimtab: {why}"
    return failure("artifact-schema", message, "use that version, or " + _REPAIR)
