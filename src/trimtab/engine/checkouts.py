"""The files of commits that runs work on: made once for each run, and never changed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from trimtab.core.errors import failure
from trimtab.core.model.documents import Selection, select
from trimtab.core.model.identity import Digest
from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import ForEachSpec, InputFile
from trimtab.core.model.reproducible import FILE_TIME_S
from trimtab.core.model.step_key import inputs_digest
from trimtab.ports.source import Source

K = TypeVar("K")
V = TypeVar("V")

_COMMITS_REMEMBERED = 8
_SELECTIONS_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Checkouts:
    """Below `folder`, for each run a folder that is removed with it."""

    source: Source
    folder: Path
    _files: dict[tuple[str, str], tuple[InputFile, ...]] = field(default_factory=dict)
    _digests: dict[tuple[str, str, tuple[str, ...]], Digest] = field(default_factory=dict)
    _selections: dict[tuple[str, str, tuple[str, ...], ForEachSpec], Selection] = field(default_factory=dict)

    def of_run(self, app: str, run: int) -> Path:
        return self.folder / app / str(run)

    async def files(self, app: str, commit: str) -> tuple[InputFile, ...]:
        if (app, commit) not in self._files:
            _remember(self._files, (app, commit), await self.source.files(app, commit), _COMMITS_REMEMBERED)
        return self._files[app, commit]

    async def digest(self, app: str, commit: str, patterns: tuple[str, ...]) -> Digest:
        """What those files are known by that a step sees."""
        wanted = (app, commit, patterns)
        if wanted not in self._digests:
            inputs = inputs_digest(await self.files(app, commit), patterns)
            _remember(self._digests, wanted, inputs, _SELECTIONS_REMEMBERED)
        return self._digests[wanted]

    async def selection(self, app: str, commit: str, patterns: tuple[str, ...], for_each: ForEachSpec) -> Selection:
        """What a step sees that works document by document."""
        wanted = (app, commit, patterns, for_each)
        if wanted not in self._selections:
            files = await self.files(app, commit)
            selection = await asyncio.to_thread(select, files, patterns, for_each)
            _remember(self._selections, wanted, selection, _COMMITS_REMEMBERED)
        return self._selections[wanted]

    async def pick(self, app: str, run: int, commit: str, paths: Sequence[str], name: str) -> Path:
        """A folder of this name with these files alone, made without the commit's others. Raises `TrimtabError`."""
        whole = self.of_run(app, run) / "source"

        async def write(half: Path) -> None:
            if whole.exists():
                await asyncio.to_thread(_link, whole, paths, half)
            else:
                await self.source.checkout(app, commit, half, paths)

        return await made(whole.with_name(name), write)

    async def at_least(self, app: str, run: int, commit: str, paths: Sequence[str], name: str) -> Path:
        """A folder that has these files of the commit, as others may have made it already. Not to be written to."""
        whole = self.of_run(app, run) / "source"
        return whole if whole.exists() else await self.pick(app, run, commit, paths, name)

    async def make(self, app: str, run: int, commit: str, patterns: tuple[str, ...] = ()) -> Path:
        """A folder with the files that the patterns mean; without any, with all. Raises `TrimtabError`."""
        whole = await made(self.of_run(app, run) / "source", lambda half: self.source.checkout(app, commit, half))
        if not patterns:
            return whole
        paths = matching([file.path for file in await self.files(app, commit)], patterns)

        async def link(half: Path) -> None:
            await asyncio.to_thread(_link, whole, paths, half)

        return await made(whole.with_name(f"inputs-{token(*patterns)}"), link)


async def made(folder: Path, make: Callable[[Path], Awaitable[None]]) -> Path:
    """The folder, made if it is not there: whole, or not at all."""
    if folder.exists():
        return folder
    half = folder.with_name(f"{folder.name}.new")
    try:
        await asyncio.to_thread(half.parent.mkdir, parents=True, exist_ok=True)
        await make(half)
        await asyncio.to_thread(_look_the_same_anywhere, half)
        half.rename(folder)
    except OSError as error:
        await asyncio.to_thread(shutil.rmtree, half, ignore_errors=True)
        if not folder.exists():
            hint = "see that the disk has space; if this controller was paused for long, nothing is wrong"
            raise failure("workspace-io", f"it could not be made: {error.strerror}", hint, str(folder)) from None
    return folder


def _link(source: Path, paths: Sequence[str], into: Path) -> None:
    """Another name for each of these files: nobody changes what is in a layer."""
    shutil.rmtree(into, ignore_errors=True)  # begun before a crash
    into.mkdir()
    for path in paths:
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source / path, target, follow_symlinks=False)


def _look_the_same_anywhere(folder: Path) -> None:
    """Times and permissions end up in archives; those that a file happens to have are of the machine and its user."""
    for inner, _, files in os.walk(folder, topdown=False):
        for path in (*(os.path.join(inner, name) for name in files), inner):
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode):
                os.chmod(path, 0o755 if mode & stat.S_IXUSR else 0o644)
            os.utime(path, (FILE_TIME_S, FILE_TIME_S), follow_symlinks=False)


def token(*texts: str) -> str:
    """A short name for texts that are no names."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _remember(memory: dict[K, V], key: K, value: V, most: int) -> None:
    memory[key] = value
    while len(memory) > most:
        del memory[next(iter(memory))]
