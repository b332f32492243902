"""What every StepCache promises. Each check gets a fresh cache and an empty folder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from trimtab.core.model.pipeline import StepResult
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


CHECKS: tuple[StepCacheCheck, ...] = (
    check_a_result_is_found_by_its_key,
    check_the_first_result_stays,
    check_scopes_are_strangers,
    check_outputs_come_back_as_they_were,
    check_the_same_files_are_the_same_tree,
    check_damaged_outputs_are_refused,
    check_a_result_without_its_outputs_is_none,
    check_another_version_is_another_toolchain,
    check_a_missing_program_is_named,
    check_what_was_just_used_is_not_trimmed,
)
