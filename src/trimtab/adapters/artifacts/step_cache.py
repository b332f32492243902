"""The cache of steps on a disk."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError

from trimtab.adapters.artifacts import known_documents, release_folder
from trimtab.adapters.artifacts.blobs import Blobs, DamagedBlob
from trimtab.adapters.artifacts.locking import locked
from trimtab.adapters.artifacts.toolchain import Toolchain
from trimtab.adapters.artifacts.workspace import everything_in, store_tree
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.documents import Files, Results
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.pipeline import StepResult
from trimtab.core.model.tree import MadeFile, TreeEntry, decode_tree, encode_tree

P = ParamSpec("P")
R = TypeVar("R")

_RESULT: TypeAdapter[StepResult] = TypeAdapter(StepResult)
_SCOPE = re.compile(r"[a-z0-9-]{1,60}")
_MADE = "made"
"""The scope in which every tree has an entry by its own name, so that it stays while a run works on it."""
_IN_USE_S = 3600.0
_REMEMBERED = 4


class FileStepCache:
    """`StepCache` in the folder `home`.

    - `entries/SCOPE/HEX`: the result of a step, by its key; of one that works document by document, by its key without
      documents, also the tree of what is known of them
    - `blobs/ab/cdef...`: the bytes of outputs and of their trees; `folders/HEX/`: a tree's files, made when asked for
    - `tmp/`, `lock`: files being written; the lock that many may share and only `trim` has alone

    Nothing here need survive a power cut: what is torn is found by its digest, and the step runs again.
    """

    def __init__(self, home: Path, path: str) -> None:
        """`path`: where the programs of `toolchain` are looked for."""
        self._home = home.resolve()
        self._toolchain = Toolchain(path)
        self._entries, self._folders = self._home / "entries", self._home / "folders"
        self._temporary = self._home / "tmp"
        self._blobs = Blobs(self._home / "blobs", self._temporary, durable=False)
        self._listed: dict[Digest, dict[Digest, Files]] = {}
        """What trees of documents say, by their digests."""

    async def toolchain(self, tools: Sequence[str]) -> str:
        # What needs no look at a program needs no thread either: every step asks.
        return await self._in_thread(self._toolchain.named, tools) if tools else self._toolchain.named(())

    async def find(self, key: str, scopes: Sequence[str]) -> StepResult | None:
        # Not in a thread: it is a file or two, and a run of hundreds of known steps asks hundreds of times.
        for scope in scopes:
            if (result := self._find(key, scope)) is not None:
                return result
        return None

    async def keep(self, key: str, scope: str, result: StepResult) -> None:
        await self._in_thread(self._keep, key, scope, result)

    async def put(self, folder: Path) -> Digest:
        return await self._in_thread(self._put, folder)

    async def folder(self, outputs: Digest) -> Path:
        return await self._in_thread(self._folder, outputs)

    async def has(self, outputs: Digest) -> bool:
        return self._is_here(outputs)

    async def tree(self, outputs: Digest) -> tuple[TreeEntry, ...]:
        return await self._in_thread(self._files_of, outputs)

    async def made(self, outputs: Digest) -> tuple[MadeFile, ...]:
        files = await self.tree(outputs)
        _touch(self._entry(_MADE, outputs))
        return tuple(MadeFile(entry, str(self._blobs.path(entry.digest))) for entry in files)

    async def compose(self, files: Iterable[TreeEntry]) -> Digest:
        return await self._in_thread(self._compose, files)

    async def documents(self, key: str, scopes: Sequence[str]) -> Results:
        return await self._in_thread(self._documents, key, scopes)

    async def keep_documents(self, key: str, scope: str, results: Results) -> None:
        await self._in_thread(self._keep_documents, key, scope, results)

    async def trim(self, max_bytes: int, keep: Collection[Digest]) -> int:
        return await self._in_thread(self._trim, max_bytes, keep)

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            message = f"the cache of steps cannot be used: {error.strerror} ({error.filename})"
            hint = "see that its disk has space and that Trimtab may write there; it may be removed as a whole"
            raise failure("step-cache-io", message, hint, str(self._home)) from error

    # --- below, everything blocks ------------------------------------------------------------------------------------

    def _entry(self, scope: str, key: str) -> Path:
        assert _SCOPE.fullmatch(scope), scope
        return self._entries / scope / _hex(key)

    def _find(self, key: str, scope: str) -> StepResult | None:
        entry = self._entry(scope, key)
        result = _parse(entry)
        if result is None or (result.outputs is not None and not self._is_here(result.outputs)):
            return None
        _touch(entry)
        if result.outputs is not None:
            _touch(self._entry(_MADE, result.outputs))
        return result

    def _is_here(self, outputs: Digest) -> bool:
        return self._blobs.path(outputs).exists()

    def _keep(self, key: str, scope: str, result: StepResult) -> None:
        with self._shared():
            if self._find(key, scope) is None:
                self._write(self._entry(scope, key), result)

    def _write(self, entry: Path, result: StepResult) -> None:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._temporary)
        with os.fdopen(handle, "wb") as file:
            file.write(_RESULT.dump_json(result))
        os.replace(temporary, entry)

    def _put(self, folder: Path) -> Digest:
        with self._shared():
            tree, _ = store_tree(self._blobs, folder, everything_in(folder))
            return self._made(tree)

    def _made(self, tree: Digest) -> Digest:
        self._write(self._entry(_MADE, tree), StepResult(tree, "", 0.0))
        return tree

    def _compose(self, files: Iterable[TreeEntry]) -> Digest:
        entries = tuple(files)
        with self._shared():
            if not self._blobs.seem_sound((entry.digest, entry.size_bytes) for entry in entries):
                raise _missing("files", self._home)
            return self._made(self._blobs.put_bytes(encode_tree(entries)))

    def _files_of(self, outputs: Digest) -> tuple[TreeEntry, ...]:
        try:
            return decode_tree(self._blobs.read(outputs))
        except DamagedBlob as damaged:
            raise _missing(f"outputs {short(outputs)}", damaged.path) from damaged

    # --- documents: what is known of them is one tree for each step, with a folder for each of them ------------------

    def _documents(self, key: str, scopes: Sequence[str]) -> Results:
        found: dict[Digest, Files] = {}
        for scope in reversed(scopes):
            found |= self._known(key, scope)
        return found

    def _known(self, key: str, scope: str) -> dict[Digest, Files]:
        result = self._find(key, scope)
        if result is None or result.outputs is None:
            return {}
        if result.outputs not in self._listed:
            # The newest are remembered: a step is looked up, started and kept within minutes.
            self._listed[result.outputs] = known_documents.listed(self._tree(result.outputs))
            while len(self._listed) > _REMEMBERED:
                self._listed.pop(next(iter(self._listed)), None)
        known = self._listed[result.outputs]
        return {
            document: files
            for document, files in known.items()
            if self._blobs.seem_sound((file.digest, file.size_bytes) for file in files)
        }

    def _keep_documents(self, key: str, scope: str, results: Results) -> None:
        entry = self._entry(scope, key)
        with self._shared(), locked(self._temporary / f"{scope}-{entry.name}.lock", fcntl.LOCK_EX):
            known = known_documents.together(self._known(key, scope), results)
            tree = self._blobs.put_bytes(encode_tree(known_documents.as_tree(known)))
            self._write(entry, StepResult(tree, "", 0.0))

    def _folder(self, outputs: Digest) -> Path:
        folder = self._folders / _hex(outputs)
        with self._shared(), locked(self._temporary / f"{folder.name}.lock", fcntl.LOCK_EX):
            try:
                entries = decode_tree(self._blobs.read(outputs))
                new = folder if folder.is_dir() else self._folders / f".{folder.name}.new"
                new.mkdir(exist_ok=True)
                release_folder.mend(new, entries, self._blobs, release_folder.WRITABLE)
            except DamagedBlob as damaged:
                # Nobody is to find them again: what is not here is made anew.
                for path in (damaged.path, self._blobs.path(outputs)):
                    path.unlink(missing_ok=True)
                raise _missing(f"outputs {short(outputs)}", damaged.path) from damaged
            if new != folder:
                new.rename(folder)
            _touch(self._entry(_MADE, outputs))
        return folder

    # --- what is old goes --------------------------------------------------------------------------------------------

    def _trim(self, max_bytes: int, keep: Collection[Digest]) -> int:
        with self._alone():
            before = left = _size(self._home)
            while left > max_bytes and (old := self._old(keep)):
                # In portions, since what several share goes with the last of them.
                for entry in old[: max(1, len(old) // 4)]:
                    entry.unlink()
                self._sweep()
                left = _size(self._home)
            return before - left

    def _old(self, keep: Collection[Digest]) -> list[Path]:
        """Entries that were not used within the last hour, those first that were not used for longest."""
        needed = {self._entry(_MADE, tree) for tree in keep}
        young = time.time() - _IN_USE_S
        entries = [(entry.stat().st_mtime, entry) for entry in self._entries.glob("*/*")]
        return [entry for used_at, entry in sorted(entries) if used_at < young and entry not in needed]

    def _sweep(self) -> None:
        """Remove the folders and the bytes that no entry needs."""
        results = (_parse(entry) for entry in self._entries.glob("*/*"))
        trees = {result.outputs for result in results if result is not None and result.outputs is not None}
        names = {_hex(tree) for tree in trees}
        for folder in (*self._folders.iterdir(), *self._temporary.iterdir()):
            if folder.name not in names:
                release_folder.remove(folder)
        self._blobs.sweep({*trees, *(entry.digest for tree in trees for entry in self._tree(tree))})

    def _tree(self, tree: Digest) -> tuple[TreeEntry, ...]:
        try:
            return decode_tree(self._blobs.read(tree))
        except DamagedBlob:
            return ()

    def _shared(self) -> contextlib.AbstractContextManager[None]:
        return self._locked(fcntl.LOCK_SH)

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return self._locked(fcntl.LOCK_EX)

    def _locked(self, kind: int) -> contextlib.AbstractContextManager[None]:
        for folder in (self._entries, self._folders, self._temporary, self._home / "blobs"):
            folder.mkdir(parents=True, exist_ok=True)
        return locked(self._home / "lock", kind)


def _parse(entry: Path) -> StepResult | None:
    try:
        return _RESULT.validate_json(entry.read_bytes())
    except (OSError, ValidationError):
        return None


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)


def _size(folder: Path) -> int:
    """The bytes of all files below the folder."""
    return sum(os.lstat(os.path.join(inner, name)).st_size for inner, _, files in os.walk(folder) for name in files)


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _missing(what: str, path: Path) -> TrimtabError:
    message = f"{what} of an earlier step are damaged or gone"
    return failure("outputs-missing", message, "run the pipeline again: what is missing is made anew", str(path))
