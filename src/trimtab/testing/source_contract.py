"""What every Source promises. Each check gets a fresh `SourceLab` and an empty folder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.pipeline import LINK
from trimtab.core.model.template import TemplateAt, template_digest
from trimtab.ports.source import Source
from trimtab.testing.memory_source import File


class SourceLab(Protocol):
    """A Source under examination, and someone who pushes to it."""

    @property
    def source(self) -> Source: ...

    async def commit(
        self, app: str, files: Mapping[str, File | None], *, subject: str = ..., actor: str = ..., branch: str = ...
    ) -> str:
        """Push a commit to the branch, on top of what is there; its id."""
        ...

    async def rewrite(self, app: str, files: Mapping[str, File | None], *, branch: str = ...) -> str:
        """Push a commit in place of the branch's newest one; its id."""
        ...

    def address(self, app: str) -> str:
        """Where `fetch` finds the application's repository."""
        ...

    def template_address(self, app: str) -> str:
        """Where `template` finds it, and finds nothing if there is no such application."""
        ...


SourceCheck = Callable[[SourceLab, Path], Awaitable[None]]
README = {"README": File(b"hello\n")}


async def problem_of(call: Awaitable[object]) -> Problem:
    """The problem that `call` must raise."""
    try:
        outcome = await call
    except TrimtabError as error:
        return error.problem
    raise AssertionError(f"no error was raised; the answer was {outcome!r}")


async def check_create_is_idempotent_and_listed(lab: SourceLab, _: Path) -> None:
    for app in ("shop", "blog", "shop"):
        await lab.source.create(app)
    assert await lab.source.apps() == ("blog", "shop")


async def check_create_keeps_what_is_there(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    commit = await lab.commit("shop", README)
    await lab.source.create("shop")
    head = await lab.source.head("shop", "main")
    assert head is not None
    assert head.commit == commit


async def check_bad_names_are_refused(lab: SourceLab, _: Path) -> None:
    for name in ("", "../shop", "a/b", "Shop", ".", "-x", "state", "x" * 41):
        assert (await problem_of(lab.source.create(name))).code == "git-name", name
    assert await lab.source.apps() == ()


async def check_an_empty_repository_has_no_head(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    assert await lab.source.head("shop", "main") is None


async def check_head_is_the_newest_commit(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    await lab.commit("shop", README)
    commit = await lab.commit("shop", {"a": File(b"1")}, subject="Add ä", actor="Grace Höpper")
    head = await lab.source.head("shop", "main")
    assert head is not None
    assert (head.commit, head.branch, head.actor, head.subject) == (commit, "main", "Grace Höpper", "Add ä")
    assert await lab.source.head("shop", "mai") is None


async def check_branches_are_apart(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    on_main = await lab.commit("shop", README)
    on_other = await lab.commit("shop", {"b": File(b"2")}, branch="feature/x")
    main, other = await lab.source.head("shop", "main"), await lab.source.head("shop", "feature/x")
    assert main is not None
    assert other is not None
    assert (main.commit, other.commit) == (on_main, on_other)
    assert await lab.source.head("shop", "feature") is None


async def check_changes_are_oldest_first(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    commits = [await lab.commit("shop", {"n": File(str(n).encode())}, subject=f"Change {n}") for n in range(4)]
    found = await lab.source.changes("shop", "main", commits[0], commits[3])
    assert [change.commit for change in found] == commits[1:]
    assert [change.subject for change in found] == ["Change 1", "Change 2", "Change 3"]
    assert {change.branch for change in found} == {"main"}


async def check_changes_after_nothing_known_is_the_last(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    commits = [await lab.commit("shop", {"n": File(str(n).encode())}) for n in range(2)]
    for after in (None, "f" * 40):
        assert [c.commit for c in await lab.source.changes("shop", "main", after, commits[1])] == commits[1:]


async def check_read_gives_the_file_of_the_commit(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    first = await lab.commit("shop", {"folder/a b.bin": File(b"\0\r\n1")})
    second = await lab.commit("shop", {"folder/a b.bin": None, "c": File(b"")})
    assert await lab.source.read("shop", first, "folder/a b.bin") == b"\0\r\n1"
    assert await lab.source.read("shop", second, "folder/a b.bin") is None
    assert await lab.source.read("shop", second, "c") == b""
    assert await lab.source.read("shop", first, "folder") is None


async def check_unknown_things_are_named(lab: SourceLab, folder: Path) -> None:
    await lab.source.create("shop")
    await lab.commit("shop", README)
    missing = "e" * 40
    for call in (
        lab.source.read("shop", missing, "README"),
        lab.source.files("shop", missing),
        lab.source.checkout("shop", missing, folder / "out"),
        lab.source.changes("shop", "main", None, missing),
    ):
        problem = await problem_of(call)
        assert problem.code == "git-commit-missing"
        assert "shop" in str(problem)
        assert problem.hint
    assert not (folder / "out").exists()
    problem = await problem_of(lab.source.head("nothing", "main"))
    assert problem.code == "git-repository-missing"
    assert "nothing" in str(problem)


async def check_checkout_writes_the_commit(lab: SourceLab, folder: Path) -> None:
    await lab.source.create("shop")
    files = {
        "run.sh": File(b"#!/bin/sh\n", "755"),
        "deep/er/ä b.txt": File(b"x\r\n"),
        "link": File(b"deep/er", "link"),
        "empty": File(b""),
    }
    commit = await lab.commit("shop", files)
    await lab.commit("shop", {"later": File(b"")})
    (folder / "empty").mkdir()
    for into in (folder / "empty", folder / "missing" / "too"):
        await lab.source.checkout("shop", commit, into)
        found = {str(p.relative_to(into)) for p in into.rglob("*") if p.is_symlink() or not p.is_dir()}
        assert found == set(files)
        assert (into / "deep/er/ä b.txt").read_bytes() == b"x\r\n"
        assert (into / "run.sh").stat().st_mode & 0o100
        assert not (into / "empty").stat().st_mode & 0o100
        assert (into / "link").readlink() == Path("deep/er")
        assert [p.name for p in into.parent.iterdir() if p.name.startswith(".")] == []


async def check_a_finished_checkout_is_left_alone(lab: SourceLab, folder: Path) -> None:
    await lab.source.create("shop")
    commit = await lab.commit("shop", README)
    await lab.source.checkout("shop", commit, folder / "out")
    (folder / "out" / "built").write_text("by a step")
    await lab.source.checkout("shop", commit, folder / "out")
    assert (folder / "out" / "built").read_text() == "by a step"


async def check_a_checkout_of_some_files_has_no_others(lab: SourceLab, folder: Path) -> None:
    await lab.source.create("shop")
    files = {"a/b/ä c.txt": File(b"x\r\n"), "a/run": File(b"", "755"), "a/link": File(b"run", "link"), "b": File(b"")}
    commit = await lab.commit("shop", files)
    some = ["a/b/ä c.txt", "a/run", "a/link"]
    for name, only in (("some", some), ("none", []), ("strange", ["no/such/file"])):
        await lab.source.checkout("shop", commit, folder / name, only)
        there = {str(p.relative_to(folder / name)) for p in (folder / name).rglob("*") if p.is_symlink() or p.is_file()}
        assert there == set(only) & set(files)
    assert (folder / "some/a/b/ä c.txt").read_bytes() == b"x\r\n"
    assert (folder / "some/a/run").stat().st_mode & 0o100
    assert (folder / "some/a/link").readlink() == Path("run")
    modes = {file.path: file.mode for file in await lab.source.files("shop", commit)}
    assert modes == {"a/b/ä c.txt": "100644", "a/run": "100755", "a/link": LINK, "b": "100644"}


async def check_files_are_sorted_and_named_by_their_bytes(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    files = {"b/c": File(b"same"), "a": File(b"same"), "b.txt": File(b"x", "755"), "ü": File(b"")}
    listed = await lab.source.files("shop", await lab.commit("shop", files))
    assert [file.path for file in listed] == ["a", "b.txt", "b/c", "ü"]
    a, text, c, _empty = listed
    assert a.content == c.content != text.content
    assert a.mode == c.mode != text.mode


async def check_changed_names_what_differs(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    before = await lab.commit("shop", {"kept": File(b"1"), "edited": File(b"1"), "removed": File(b"1")})
    after = await lab.commit("shop", {"edited": File(b"2"), "removed": None, "d/added": File(b"1")})
    assert await lab.source.changed("shop", before, after) == ("d/added", "edited", "removed")
    assert await lab.source.changed("shop", after, after) == ()
    assert await lab.source.changed("shop", "0" * 40, after) is None


async def check_fetch_brings_the_branch(lab: SourceLab, _: Path) -> None:
    await lab.source.create("upstream")
    await lab.source.create("shop")
    first = await lab.commit("upstream", README)
    for _again in range(2):
        head = await lab.source.fetch("shop", lab.address("upstream"), "main")
        assert head is not None
        assert head.commit == first
    assert await lab.source.read("shop", first, "README") == b"hello\n"
    rewritten = await lab.rewrite("upstream", {"README": File(b"other\n")})
    head = await lab.source.fetch("shop", lab.address("upstream"), "main")
    assert head is not None
    assert head.commit == rewritten


async def check_fetch_keeps_a_ref_under_a_name_of_our_own(lab: SourceLab, _: Path) -> None:
    await lab.source.create("upstream")
    await lab.source.create("shop")
    await lab.commit("upstream", README)
    proposed = await lab.commit("upstream", {"README": File(b"better\n")}, branch="feature/x")
    head = await lab.source.fetch("shop", lab.address("upstream"), "pull/7", "refs/heads/feature/x")
    assert head is not None
    assert (head.commit, head.branch) == (proposed, "pull/7")
    assert await lab.source.read("shop", proposed, "README") == b"better\n"
    assert await lab.source.head("shop", "main") is None
    assert await lab.source.head("shop", "feature/x") is None


async def check_heads_are_those_below_the_prefix(lab: SourceLab, _: Path) -> None:
    await lab.source.create("shop")
    assert await lab.source.heads("shop", "pr/") == ()
    await lab.commit("shop", README)
    await lab.commit("shop", README | {"p": File(b"")}, branch="prose")
    assert await lab.source.heads("shop", "pr/") == ()
    second = await lab.commit("shop", README | {"b": File(b"")}, branch="pr/b", subject="Say b", actor="Bo")
    first = await lab.commit("shop", README | {"a": File(b"")}, branch="pr/a/1")
    found = await lab.source.heads("shop", "pr/")
    assert [(change.branch, change.commit) for change in found] == [("pr/a/1", first), ("pr/b", second)]
    assert (found[1].actor, found[1].subject) == ("Bo", "Say b")


TEMPLATE = b"step: {run: make}\n"


async def check_a_template_of_another_repository(lab: SourceLab, _: Path) -> None:
    for app in ("shop", "steps"):
        await lab.source.create(app)
    await lab.commit("steps", {"python/test.yaml": File(TEMPLATE)})
    await lab.commit("steps", {"python/test.yaml": File(b"other")}, branch="v2")
    address = lab.template_address("steps")
    assert await lab.source.template("shop", TemplateAt("python/test.yaml", address)) == TEMPLATE
    assert await lab.source.template("shop", TemplateAt("python/test.yaml", address, ref="v2")) == b"other"
    assert await lab.source.template("shop", TemplateAt("gone.yaml", address)) is None


async def check_a_pinned_template_stays_known(lab: SourceLab, _: Path) -> None:
    for app in ("shop", "steps"):
        await lab.source.create(app)
    await lab.commit("steps", {"a.yaml": File(TEMPLATE)})
    at = TemplateAt("a.yaml", lab.template_address("steps"), template_digest(TEMPLATE))
    assert await lab.source.template("shop", at) == TEMPLATE
    await lab.commit("steps", {"a.yaml": File(b"other")})
    assert await lab.source.template("shop", at) == TEMPLATE
    assert await lab.source.template("shop", TemplateAt("a.yaml", lab.template_address("gone"), at.digest)) == TEMPLATE
    assert await lab.source.template("shop", TemplateAt("a.yaml", at.repository)) == b"other"


async def check_a_template_that_cannot_be_had_says_why(lab: SourceLab, _: Path) -> None:
    for app in ("shop", "steps"):
        await lab.source.create(app)
    await lab.commit("steps", {"a.yaml": File(TEMPLATE)})
    gone = lab.source.template("shop", TemplateAt("a.yaml", lab.template_address("gone")))
    assert (await problem_of(gone)).code == "template-unreachable"
    no_such = lab.source.template("shop", TemplateAt("a.yaml", lab.template_address("steps"), ref="nowhere"))
    assert (await problem_of(no_such)).code == "template-refused"


async def check_fetch_says_what_is_wrong(lab: SourceLab, folder: Path) -> None:
    await lab.source.create("upstream")
    await lab.source.create("shop")
    await lab.commit("upstream", README)
    problem = await problem_of(lab.source.fetch("shop", lab.address("upstream"), "nowhere"))
    assert problem.code == "git-branch-missing"
    assert "nowhere" in problem.message
    problem = await problem_of(lab.source.fetch("shop", str(folder / "gone.git"), "main"))
    assert problem.code == "git-remote-unreachable"
    assert "gone.git" in problem.message
    assert problem.hint
    assert "shop" in problem.where


SOURCE_CHECKS: tuple[SourceCheck, ...] = (
    check_create_is_idempotent_and_listed,
    check_create_keeps_what_is_there,
    check_bad_names_are_refused,
    check_an_empty_repository_has_no_head,
    check_head_is_the_newest_commit,
    check_branches_are_apart,
    check_changes_are_oldest_first,
    check_changes_after_nothing_known_is_the_last,
    check_read_gives_the_file_of_the_commit,
    check_unknown_things_are_named,
    check_checkout_writes_the_commit,
    check_a_finished_checkout_is_left_alone,
    check_a_checkout_of_some_files_has_no_others,
    check_files_are_sorted_and_named_by_their_bytes,
    check_changed_names_what_differs,
    check_fetch_brings_the_branch,
    check_fetch_keeps_a_ref_under_a_name_of_our_own,
    check_heads_are_those_below_the_prefix,
    check_fetch_says_what_is_wrong,
    check_a_template_of_another_repository,
    check_a_pinned_template_stays_known,
    check_a_template_that_cannot_be_had_says_why,
)
