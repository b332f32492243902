"""What every StepCache promises. Each check gets a fresh cache and an empty folder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from trimtab.core.model.pipeline import StepResult
from trimtab.core.model.tree import TreeEntry
from trimtab.ports.step_cache import StepCache
from trimtab.testing.source_contract import problem_of

KEY, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class StepCacheLab(Protocol):
    """A cache under examination, and someone who can change the machine's programs and damage what is kept."""

    @property
    def cache(self) -> StepCache: ...

    def install(self, tool: str, version: str) -> None:
        """Put another version of the program on the machine."""
        ...

    def damage(self) -> None:
        """Change a byte of every file that is kept."""
        ...


StepCacheCheck = Callable[[StepCacheLab, Path], Awaitable[None]]


def _outputs(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/run").write_text("#!/bin/sh\n")
    (folder / "bin/run").chmod(0o755)
    (folder / "a.txt").write_text("a")
    (folder / "link").symlink_to("a.txt")
    return folder


async def check_a_result_is_found_by_its_key(lab: StepCacheLab, _: Path) -> None:
    result = StepResult(None, "step/shop/1/test/1", 2.5)
    assert await lab.cache.find(KEY, ("branch",)) is None
    await lab.cache.keep(KEY, "branch", result)
    assert await lab.cache.find(KEY, ("branch",)) == result
    assert await lab.cache.find(OTHER, ("branch",)) is None


async def check_the_first_result_stays(lab: StepCacheLab, _: Path) -> None:
    first = StepResult(None, "step/shop/1/test/1", 2.5)
    await lab.cache.keep(KEY, "branch", first)
    await lab.cache.keep(KEY, "branch", StepResult(None, "step/shop/2/test/1", 1.0))
    assert await lab.cache.find(KEY, ("branch",)) == first


async def check_scopes_are_strangers(lab: StepCacheLab, _: Path) -> None:
    poisoned, good = StepResult(None, "step/shop/1/test/1", 1.0), StepResult(None, "step/shop/2/test/1", 1.0)
    await lab.cache.keep(KEY, "pull-requests", poisoned)
    assert await lab.cache.find(KEY, ("branch",)) is None
    await lab.cache.keep(KEY, "branch", good)
    assert await lab.cache.find(KEY, ("branch",)) == good
    assert await lab.cache.find(KEY, ("pull-requests", "branch")) == poisoned


async def check_outputs_come_back_as_they_were(lab: StepCacheLab, folder: Path) -> None:
    tree = await lab.cache.put(_outputs(folder / "made"))
    assert await lab.cache.has(tree)
    back = await lab.cache.folder(tree)
    assert (back / "a.txt").read_text() == "a"
    assert (back / "bin/run").stat().st_mode & 0o777 == 0o755
    assert str((back / "link").readlink()) == "a.txt"
    assert await lab.cache.folder(tree) == back


async def check_the_same_files_are_the_same_tree(lab: StepCacheLab, folder: Path) -> None:
    tree = await lab.cache.put(_outputs(folder / "made"))
    assert await lab.cache.put(_outputs(folder / "again")) == tree
    (folder / "again/a.txt").chmod(0o755)
    assert await lab.cache.put(folder / "again") != tree


async def check_damaged_outputs_are_refused(lab: StepCacheLab, folder: Path) -> None:
    tree = await lab.cache.put(_outputs(folder / "made"))
    await lab.cache.folder(tree)
    lab.damage()
    assert (await problem_of(lab.cache.folder(tree))).code == "outputs-missing"


async def check_what_was_found_damaged_is_made_anew(lab: StepCacheLab, folder: Path) -> None:
    tree = await lab.cache.put(_outputs(folder / "made"))
    await lab.cache.keep(KEY, "branch", StepResult(tree, "step/shop/1/build/1", 1.0))
    one = await _documents(lab, folder / "1", "one")
    await lab.cache.keep_documents(KEY, "pull-requests", {KEY: one})
    of_one = await lab.cache.compose(one)
    lab.damage()
    for outputs in (tree, of_one):
        assert (await problem_of(lab.cache.folder(outputs))).code == "outputs-missing"
    assert await lab.cache.find(KEY, ("branch",)) is None
    assert await lab.cache.documents(KEY, ("pull-requests",)) == {}
    assert await lab.cache.put(_outputs(folder / "again")) == tree
    assert (await lab.cache.folder(tree) / "a.txt").read_text() == "a"


async def check_a_result_without_its_outputs_is_none(lab: StepCacheLab, _: Path) -> None:
    await lab.cache.keep(KEY, "branch", StepResult(OTHER, "step/shop/1/build/1", 1.0))
    assert await lab.cache.find(KEY, ("branch",)) is None


async def check_another_version_is_another_toolchain(lab: StepCacheLab, _: Path) -> None:
    lab.install("compiler", "one")
    lab.install("linker", "one")
    before = await lab.cache.toolchain(["compiler", "linker"])
    assert await lab.cache.toolchain(["linker", "compiler"]) == before
    assert await lab.cache.toolchain([]) != before
    lab.install("compiler", "two!")
    assert await lab.cache.toolchain(["compiler", "linker"]) != before


async def check_a_missing_program_is_named(lab: StepCacheLab, _: Path) -> None:
    problem = await problem_of(lab.cache.toolchain(["no-such-program"]))
    assert problem.code == "tool-missing"
    assert "no-such-program" in problem.message


async def check_what_was_just_used_is_not_trimmed(lab: StepCacheLab, folder: Path) -> None:
    tree = await lab.cache.put(_outputs(folder / "made"))
    await lab.cache.keep(KEY, "branch", StepResult(tree, "step/shop/1/build/1", 1.0))
    assert await lab.cache.trim(0, ()) == 0
    assert await lab.cache.find(KEY, ("branch",)) is not None
    await lab.cache.folder(tree)


async def check_a_composed_tree_is_that_of_a_folder(lab: StepCacheLab, folder: Path) -> None:
    whole = _outputs(folder / "made")
    for name in ("first", "second"):
        (folder / name).mkdir()
    (whole / "bin").rename(folder / "first/bin")
    (whole / "a.txt").rename(folder / "second/b.txt")
    first, second = [await lab.cache.put(folder / name) for name in ("first", "second")]
    files = [*await lab.cache.tree(second), *await lab.cache.tree(first)]
    moved = [replace(file, path=f"in/{file.path}") for file in files]
    tree = await lab.cache.compose(moved)
    (folder / "same/in").mkdir(parents=True)
    (folder / "first/bin").rename(folder / "same/in/bin")
    (folder / "second/b.txt").rename(folder / "same/in/b.txt")
    assert await lab.cache.put(folder / "same") == tree
    back = await lab.cache.folder(tree)
    assert (back / "in/b.txt").read_text() == "a"
    assert (back / "in/bin/run").stat().st_mode & 0o777 == 0o755
    assert await lab.cache.tree(tree) == tuple(sorted(moved))


async def check_what_is_not_here_is_part_of_no_tree(lab: StepCacheLab, _: Path) -> None:
    stranger = TreeEntry("a.txt", "644", OTHER, 1)
    assert (await problem_of(lab.cache.compose([stranger]))).code == "outputs-missing"
    assert (await problem_of(lab.cache.tree(OTHER))).code == "outputs-missing"
    await lab.cache.keep_documents(KEY, "branch", {OTHER: (stranger,)})
    assert await lab.cache.documents(KEY, ("branch",)) == {}


async def _documents(lab: StepCacheLab, folder: Path, text: str) -> tuple[TreeEntry, ...]:
    """The results of a document that has this text."""
    folder.mkdir()
    (folder / "vector").write_text(text)
    return await lab.cache.tree(await lab.cache.put(folder))


async def check_documents_are_found_by_their_keys(lab: StepCacheLab, folder: Path) -> None:
    one, two = await _documents(lab, folder / "1", "one"), await _documents(lab, folder / "2", "two")
    assert await lab.cache.documents(KEY, ("branch",)) == {}
    await lab.cache.keep_documents(KEY, "branch", {KEY: one})
    await lab.cache.keep_documents(KEY, "branch", {OTHER: two})
    assert await lab.cache.documents(KEY, ("branch",)) == {KEY: one, OTHER: two}
    assert await lab.cache.documents(OTHER, ("branch",)) == {}


async def check_the_first_result_of_a_document_stays(lab: StepCacheLab, folder: Path) -> None:
    one, two = await _documents(lab, folder / "1", "one"), await _documents(lab, folder / "2", "two")
    await lab.cache.keep_documents(KEY, "branch", {KEY: one})
    await lab.cache.keep_documents(KEY, "branch", {KEY: two})
    assert await lab.cache.documents(KEY, ("branch",)) == {KEY: one}


async def check_documents_of_strangers_are_not_found(lab: StepCacheLab, folder: Path) -> None:
    poisoned, good = await _documents(lab, folder / "1", "one"), await _documents(lab, folder / "2", "two")
    await lab.cache.keep_documents(KEY, "pull-request-7", {KEY: poisoned})
    assert await lab.cache.documents(KEY, ("branch",)) == {}
    await lab.cache.keep_documents(KEY, "branch", {KEY: good, OTHER: good})
    assert await lab.cache.documents(KEY, ("branch",)) == {KEY: good, OTHER: good}
    assert await lab.cache.documents(KEY, ("pull-request-7", "branch")) == {KEY: poisoned, OTHER: good}


CHECKS: tuple[StepCacheCheck, ...] = (
    check_a_result_is_found_by_its_key,
    check_the_first_result_stays,
    check_scopes_are_strangers,
    check_outputs_come_back_as_they_were,
    check_the_same_files_are_the_same_tree,
    check_damaged_outputs_are_refused,
    check_what_was_found_damaged_is_made_anew,
    check_a_result_without_its_outputs_is_none,
    check_another_version_is_another_toolchain,
    check_a_missing_program_is_named,
    check_what_was_just_used_is_not_trimmed,
    check_a_composed_tree_is_that_of_a_folder,
    check_what_is_not_here_is_part_of_no_tree,
    check_documents_are_found_by_their_keys,
    check_the_first_result_of_a_document_stays,
    check_documents_of_strangers_are_not_found,
)
