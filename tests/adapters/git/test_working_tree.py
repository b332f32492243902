"""A folder as a commit: what is part of it, and that nothing of the user's is touched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from trimtab.adapters.git import GitSource, WorkingTree
from trimtab.core.errors import TrimtabError
from trimtab.core.model.facts import Change

AUTHOR = ("-c", "user.name=Tester", "-c", "user.email=tester@localhost", "-c", "commit.gpgsign=false")


class Folder:
    """A user's folder, and where its commits go."""

    def __init__(self, top: Path, home: Path) -> None:
        self.top, self.home = top, home
        top.mkdir()

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *AUTHOR, *words], cwd=self.top, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.top / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def begin(self, *words: str) -> None:
        self.git("init", "--quiet", "--initial-branch=main", *words)
        self.write(a="a\n", b="b\n", c="c\n")
        self.save("First")

    def save(self, subject: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        return self.git("rev-parse", "HEAD")

    async def commit(self, branch: str | None = None) -> Change:
        return await WorkingTree(self.top, self.home, "shop").commit("ann", 5.0, branch)

    async def files(self, change: Change) -> dict[str, str]:
        source = GitSource(self.home)
        listed = [file.path for file in await source.files("shop", change.commit)]
        return {path: (await source.read("shop", change.commit, path) or b"").decode() for path in listed}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "shop", tmp_path / "home")


def everything(top: Path) -> dict[str, bytes]:
    """All files below a folder, the repository's own too."""
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


async def test_what_is_changed_new_and_gone_is_part_of_it(folder: Folder) -> None:
    folder.begin()
    folder.write(a="changed\n", new__file="new\n", staged="staged\n", _dot_gitignore="ignored\n", ignored="no\n")
    folder.git("add", "staged")
    (folder.top / "b").unlink()
    change = await folder.commit()
    assert await folder.files(change) == {
        ".gitignore": "ignored\n",
        "a": "changed\n",
        "c": "c\n",
        "new/file": "new\n",
        "staged": "staged\n",
    }
    assert (change.branch, change.actor, change.at) == ("main", "ann", 5.0)
    assert change.subject == f"5 files differ from {folder.git('rev-parse', 'HEAD')[:8]}"


async def test_it_checks_out_and_is_compared_with_commits_of_the_users(folder: Folder, tmp_path: Path) -> None:
    folder.begin()
    head = folder.git("rev-parse", "HEAD")
    folder.write(a="changed\n")
    change = await folder.commit()
    source = GitSource(folder.home)
    await source.checkout("shop", change.commit, tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "changed\n"
    assert await source.changed("shop", head, change.commit) == ("a",)


async def test_without_a_difference_it_is_the_commit_itself(folder: Folder) -> None:
    folder.begin()
    (folder.top / "a").touch()
    change = await folder.commit()
    assert (change.commit, change.subject) == (folder.git("rev-parse", "HEAD"), "First")


async def test_nothing_of_the_users_is_touched(folder: Folder) -> None:
    folder.begin()
    hook = folder.top / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    folder.write(a="staged\n")
    folder.git("add", "a")
    (folder.top / "hooked").unlink(missing_ok=True)
    folder.write(a="changed since\n", new="new\n")
    os.utime(folder.top / "c")
    before = everything(folder.top)
    await folder.commit()
    assert everything(folder.top) == before


async def test_ignored_files_that_are_tracked_stay(folder: Folder) -> None:
    folder.begin()
    folder.write(_dot_gitignore="kept\n", kept="kept\n")
    folder.git("add", "--force", "kept")
    folder.save("Keep it")
    folder.write(kept="changed\n")
    assert (await folder.files(await folder.commit()))["kept"] == "changed\n"


async def test_a_merge_with_conflicts_is_taken_as_it_lies_there(folder: Folder) -> None:
    folder.begin()
    folder.git("checkout", "--quiet", "-b", "other")
    folder.write(a="theirs\n")
    folder.save("Theirs")
    folder.git("checkout", "--quiet", "main")
    folder.write(a="ours\n")
    folder.save("Ours")
    subprocess.run(["git", *AUTHOR, "merge", "other"], cwd=folder.top, capture_output=True)
    assert "<<<<<<<" in (await folder.files(await folder.commit()))["a"]
    assert folder.git("status", "--porcelain") == "UU a"


@pytest.mark.parametrize("ignored", ["", ".trimtab\n"])
async def test_an_installation_in_the_folder_is_no_part_of_it(folder: Folder, ignored: str) -> None:
    folder.begin()
    folder.write(_dot_gitignore=ignored, _dot_trimtab__token="secret\n")
    assert ".trimtab/token" not in await folder.files(await folder.commit())


async def test_other_repositories_in_it_are_left_out_and_submodules_are_refused(folder: Folder, tmp_path: Path) -> None:
    folder.begin()
    other = Folder(folder.top / "vendored", folder.home)
    other.begin()
    assert sorted(await folder.files(await folder.commit())) == ["a", "b", "c"]
    folder.save("Now it is a submodule")
    with pytest.raises(TrimtabError) as caught:
        await folder.files(await folder.commit())
    assert caught.value.problem.code == "git-submodule"


@pytest.mark.parametrize("words", [(), ("--object-format=sha256",)])
async def test_a_repository_without_a_commit(folder: Folder, words: Sequence[str]) -> None:
    folder.git("init", "--quiet", "--initial-branch=trunk", *words)
    folder.write(a="a\n")
    change = await folder.commit()
    assert await folder.files(change) == {"a": "a\n"}
    assert (change.branch, change.subject) == ("trunk", "the folder as it is now")


async def test_a_folder_that_is_no_repository(folder: Folder) -> None:
    folder.write(a="a\n", b="b\n", _dot_gitignore="b\n")
    assert await folder.files(await folder.commit()) == {"a": "a\n", ".gitignore": "b\n"}
    folder.write(a="changed\n")
    (folder.top / ".gitignore").unlink()
    change = await folder.commit("main")
    assert await folder.files(change) == {"a": "changed\n", "b": "b\n"}
    assert change.branch == "main"
    assert not (folder.top / ".git").exists()


async def test_a_linked_working_tree_and_a_detached_head(folder: Folder) -> None:
    folder.begin()
    folder.git("worktree", "add", "--quiet", "--detach", str(folder.top.with_name("linked")))
    linked = WorkingTree(folder.top.with_name("linked"), folder.home, "shop")
    (folder.top.with_name("linked") / "new").write_text("new\n")
    change = await linked.commit("ann", 5.0)
    assert change.branch == "HEAD"
    assert sorted(await folder.files(change)) == ["a", "b", "c", "new"]


async def test_files_are_kept_as_the_users_settings_say(folder: Folder) -> None:
    folder.begin()
    folder.git("config", "filter.upper.clean", "tr a-z A-Z")
    folder.write(_dot_gitattributes="*.txt filter=upper\n")
    (folder.top / "x.txt").write_text("text\n")
    assert (await folder.files(await folder.commit()))["x.txt"] == "TEXT\n"


async def test_what_cannot_be_read_is_said(folder: Folder) -> None:
    folder.begin()
    folder.git("config", "filter.broken.clean", "false")
    folder.git("config", "filter.broken.required", "true")
    folder.write(_dot_gitattributes="*.txt filter=broken\n")
    (folder.top / "x.txt").write_text("text\n")
    with pytest.raises(TrimtabError) as caught:
        await folder.commit()
    assert caught.value.problem.code == "working-tree"
    assert "x.txt" in caught.value.problem.message
