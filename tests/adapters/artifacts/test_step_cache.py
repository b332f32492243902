"""The cache of steps: the contract on both adapters, and what only the one on disk can show."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from trimtab.adapters.artifacts.step_cache import FileStepCache
from trimtab.adapters.artifacts.toolchain import Toolchain
from trimtab.core.model.pipeline import StepResult
from trimtab.core.model.release import digest_of
from trimtab.core.model.tree import TreeEntry
from trimtab.testing.memory_step_cache import MemoryStepCache
from trimtab.testing.step_cache_contract import CHECKS, KEY, OTHER, StepCacheCheck


@dataclass
class FileLab:
    folder: Path

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir(parents=True)
        self.cache = FileStepCache(self.folder / "cache", str(self.bin))

    def install(self, tool: str, version: str) -> None:
        program = self.bin / tool
        program.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)

    def damage(self) -> None:
        for path in (self.folder / "cache").rglob("*"):
            if path.is_file() and path.parent.parent.name == "blobs":
                path.chmod(0o644)
                path.write_bytes(b"x" + path.read_bytes()[1:])


@dataclass
class MemoryLab:
    folder: Path

    def __post_init__(self) -> None:
        self.cache = MemoryStepCache(self.folder / "trees")

    def install(self, tool: str, version: str) -> None:
        self.cache.versions[tool] = version

    def damage(self) -> None:
        for path in (self.folder / "trees").rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.write_bytes(b"x" + path.read_bytes()[1:])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("lab", [FileLab, MemoryLab])
async def test_contract(lab: type[FileLab] | type[MemoryLab], check: StepCacheCheck, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    await check(lab(tmp_path / "lab"), tmp_path / "work")


def age(home: Path, *names: str) -> None:
    """Make entries two hours older."""
    then = time.time() - 7200
    for entry in (home / "entries").rglob("*"):
        if entry.name in names or not names:
            os.utime(entry, (then, then))


async def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = FileStepCache(tmp_path / "cache", "")
    for key, content in ((KEY, b"1" * 100_000), (OTHER, b"2" * 100_000)):
        made = tmp_path / content[:1].decode()
        made.mkdir()
        (made / "big").write_bytes(content)
        await cache.keep(key, "branch", StepResult(await cache.put(made), "step/shop/1/build/1", 1.0))
    age(tmp_path / "cache")
    assert await cache.find(OTHER, ("branch",)) is not None  # and so it is young again
    assert await cache.trim(150_000, ()) >= 100_000
    assert await cache.find(KEY, ("branch",)) is None
    kept = await cache.find(OTHER, ("branch",))
    assert kept is not None
    assert kept.outputs is not None
    assert (await cache.folder(kept.outputs) / "big").read_bytes() == b"2" * 100_000


async def test_what_a_run_works_on_stays_however_long_it_takes(tmp_path: Path) -> None:
    cache = FileStepCache(tmp_path / "cache", "")
    trees = []
    for content in (b"1" * 100_000, b"2" * 100_000):
        made = tmp_path / content[:1].decode()
        made.mkdir()
        (made / "big").write_bytes(content)
        trees.append(await cache.put(made))
    working_on, other = trees
    age(tmp_path / "cache")
    assert await cache.trim(0, {working_on}) >= 100_000
    assert not await cache.has(other)
    assert (await cache.folder(working_on) / "big").read_bytes() == b"1" * 100_000


async def test_documents_of_commits_that_went_by_are_forgotten_when_there_are_too_many(tmp_path: Path) -> None:
    cache = FileStepCache(tmp_path / "cache", "")
    (tmp_path / "made").mkdir()
    (tmp_path / "made/vector").write_text("1")
    files = await cache.tree(await cache.put(tmp_path / "made"))

    def results(first: int, number: int) -> dict[str, tuple[TreeEntry, ...]]:
        return {digest_of(str(place).encode()): files for place in range(first, first + number)}

    await cache.keep_documents(KEY, "branch", results(0, 1000))
    await cache.keep_documents(KEY, "branch", results(1000, 10))
    assert len(await cache.documents(KEY, ("branch",))) == 1010
    await cache.keep_documents(KEY, "branch", results(2000, 9))
    assert await cache.documents(KEY, ("branch",)) == results(2000, 9)


async def test_documents_whose_bytes_are_gone_or_torn_are_not_known(tmp_path: Path) -> None:
    cache = FileStepCache(tmp_path / "cache", "")
    known = {}
    for key, text in ((KEY, "one"), (OTHER, "two")):
        (tmp_path / text).mkdir()
        (tmp_path / text / "vector").write_text(text)
        known[key] = await cache.tree(await cache.put(tmp_path / text))
    await cache.keep_documents(KEY, "branch", known)
    assert await cache.documents(KEY, ("branch",)) == known
    blob = Path((await cache.made(await cache.compose(known[OTHER])))[0].at)
    blob.chmod(0o644)
    blob.write_text("t")
    assert await cache.documents(KEY, ("branch",)) == {KEY: known[KEY]}
    blob.unlink()
    assert await FileStepCache(tmp_path / "cache", "").documents(KEY, ("branch",)) == {KEY: known[KEY]}


async def test_what_is_known_of_documents_keeps_their_bytes(tmp_path: Path) -> None:
    cache = FileStepCache(tmp_path / "cache", "")
    for name, size in (("small", 10), ("large", 100_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vector").write_bytes(name[:1].encode() * size)
    files = await cache.tree(await cache.put(tmp_path / "small"))
    large = await cache.put(tmp_path / "large")
    await cache.keep_documents(KEY, "branch", {OTHER: files})
    age(tmp_path / "cache")
    assert await cache.documents(KEY, ("branch",)) == {OTHER: files}  # and so it is young again
    assert await cache.trim(0, ()) >= 100_000
    assert not await cache.has(large)
    assert await cache.documents(KEY, ("branch",)) == {OTHER: files}
    assert (await cache.folder(await cache.compose(files)) / "vector").read_bytes() == b"s" * 10


def test_what_a_manager_of_versions_was_told_is_part_of_a_tool(tmp_path: Path) -> None:
    tool = tmp_path / "shims" / "python3"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexec pyenv exec python3\n")
    tool.chmod(0o755)
    toolchain = Toolchain(str(tool.parent))
    unsaid = toolchain.named(["python3"])
    (tmp_path / "version").write_text("3.12\n")
    first = toolchain.named(["python3"])
    (tmp_path / "version").write_text("3.13\n")
    assert len({unsaid, first, toolchain.named(["python3"])}) == 3


async def test_a_torn_entry_is_no_result(tmp_path: Path) -> None:
    cache = FileStepCache(tmp_path / "cache", "")
    await cache.keep(KEY, "branch", StepResult(None, "step/shop/1/test/1", 1.0))
    entry = next((tmp_path / "cache/entries").rglob("1111*"))
    entry.write_text('{"outputs":')
    assert await cache.find(KEY, ("branch",)) is None
    await cache.keep(KEY, "branch", StepResult(None, "step/shop/2/test/1", 1.0))
    assert await cache.find(KEY, ("branch",)) is not None


async def test_outputs_may_be_changed_by_steps_that_do_not_run_as_root(tmp_path: Path) -> None:
    """A layer that is read-only could not even be changed in a copy of it."""
    cache = FileStepCache(tmp_path / "cache", "")
    (tmp_path / "made/dist").mkdir(parents=True)
    (tmp_path / "made/dist/app").write_text("app")
    folder = await cache.folder(await cache.put(tmp_path / "made"))
    assert (folder / "dist").stat().st_mode & 0o777 == 0o755
    assert (folder / "dist/app").stat().st_mode & 0o777 == 0o644
