"""A StepCache in memory, with the trees of outputs in folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.documents import Results
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import StepResult
from trimtab.core.model.release import digest_of
from trimtab.core.model.tree import MadeFile, TreeEntry, encode_tree


class MemoryStepCache:
    """`StepCache` that forgets with its process. `versions`: of the programs that there are."""

    def __init__(self, trees: Path) -> None:
        self.versions: dict[str, str] = {}
        self._trees = trees
        self._results: dict[tuple[str, str], StepResult] = {}
        self._documents: dict[tuple[str, str], Results] = {}
        self._files: dict[Digest, Path] = {}
        """Where bytes are, whose digests these are."""

    async def toolchain(self, tools: Sequence[str]) -> str:
        for tool in tools:
            if tool not in self.versions:
                raise failure("tool-missing", f"there is no program `{tool}` on this machine", "install it", "tools")
        return " ".join(f"{tool}={self.versions[tool]}" for tool in sorted(tools))

    async def find(self, key: str, scopes: Sequence[str]) -> StepResult | None:
        for scope in scopes:
            result = self._results.get((scope, key))
            if result is not None and (result.outputs is None or await self.has(result.outputs)):
                return result
        return None

    async def keep(self, key: str, scope: str, result: StepResult) -> None:
        if await self.find(key, (scope,)) is None:
            self._results[scope, key] = result

    async def put(self, folder: Path) -> Digest:
        entries = tuple(_entries(folder))
        return self._keep(entries, {entry.digest: folder / entry.path for entry in entries})

    async def folder(self, outputs: Digest) -> Path:
        if not await self.has(outputs) or digest_of(encode_tree(_entries(self._tree(outputs)))) != outputs:
            shutil.rmtree(self._tree(outputs), ignore_errors=True)
            raise _missing()
        return self._tree(outputs)

    async def has(self, outputs: Digest) -> bool:
        return self._tree(outputs).is_dir()

    async def tree(self, outputs: Digest) -> tuple[TreeEntry, ...]:
        return tuple(sorted(_entries(await self.folder(outputs))))

    async def made(self, outputs: Digest) -> tuple[MadeFile, ...]:
        return tuple(MadeFile(entry, str(self._tree(outputs) / entry.path)) for entry in await self.tree(outputs))

    async def compose(self, files: Iterable[TreeEntry]) -> Digest:
        entries = tuple(files)
        if any(entry.digest not in self._files for entry in entries):
            raise _missing()
        return self._keep(entries, self._files)

    async def documents(self, key: str, scopes: Sequence[str]) -> Results:
        found: Results = {}
        for scope in reversed(scopes):
            found = {**found, **self._documents.get((scope, key), {})}
        return {
            document: files
            for document, files in found.items()
            if all(file.digest in self._files and _is_sound(self._files[file.digest], file) for file in files)
        }

    async def keep_documents(self, key: str, scope: str, results: Results) -> None:
        self._documents[scope, key] = {**results, **await self.documents(key, (scope,))}

    async def trim(self, max_bytes: int, keep: Collection[Digest]) -> int:  # noqa: ARG002
        return 0  # everything was used within the last hour

    def _tree(self, digest: Digest) -> Path:
        return self._trees / digest.removeprefix("sha256:")

    def _keep(self, entries: Sequence[TreeEntry], sources: dict[Digest, Path]) -> Digest:
        digest = digest_of(encode_tree(entries))
        into = self._tree(digest)
        if not into.is_dir():
            into.mkdir(parents=True)
            for entry in entries:
                (into / entry.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(sources[entry.digest], into / entry.path, follow_symlinks=False)
                if entry.mode != "link":
                    (into / entry.path).chmod(int(entry.mode, 8))
        self._files |= {entry.digest: into / entry.path for entry in entries}
        return digest


def _entries(folder: Path) -> Iterator[TreeEntry]:
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            target = os.fsencode(path.readlink())
            yield TreeEntry(name, "link", digest_of(target), len(target))
        elif path.is_file():
            content = path.read_bytes()
            mode = path.stat().st_mode & 0o100
            yield TreeEntry(name, "755" if mode else "644", digest_of(content), len(content))


def _is_sound(path: Path, file: TreeEntry) -> bool:
    return path.is_symlink() or (path.is_file() and path.stat().st_size == file.size_bytes)


def _missing() -> TrimtabError:
    return failure("outputs-missing", "outputs of an earlier step are damaged or gone", "run it again")
