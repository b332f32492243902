"""What people do to the state repository with Git, and what crashes and races do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.adapters.git.labs import GitStateLab
from trimtab.adapters.git import GitStateRepository
from trimtab.core.errors import TrimtabError
from trimtab.core.model.desired import desired_path
from trimtab.core.model.identity import EnvironmentId
from trimtab.testing.state_repository_contract import NEW, OLD, PRODUCTION, STAGING, write


class Killed(Exception):
    """Stands for the end of the process."""


async def test_git_revert_is_a_rollback(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    await write(lab, OLD, "a")
    await write(lab, NEW, "b")
    user = await lab.user()
    user.pull()
    user.git("revert", "--no-edit", "HEAD", author="Grace")
    user.push()
    desired = await lab.repository.desired(PRODUCTION)
    assert desired is not None
    assert (desired.release, desired.author) == (OLD, "Grace")
    assert desired.subject.startswith('Revert "Deploy')


async def test_a_merge_is_read(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    await write(lab, OLD, "a")
    user = await lab.user()
    user.pull()
    user.git("checkout", "-q", "-b", "proposal")
    (user.folder / desired_path(PRODUCTION)).write_text(f"release: {NEW}\n")
    user.git("commit", "-q", "-a", "-m", "Propose the new one")
    await write(lab, OLD, "b", STAGING)
    user.pull()
    user.git("merge", "-q", "--no-ff", "-m", "Merge the proposal", "proposal")
    user.push()
    production, staging = await lab.repository.desired(PRODUCTION), await lab.repository.desired(STAGING)
    assert production is not None
    assert staging is not None
    assert (production.release, staging.release) == (NEW, OLD)
    commits = {entry["commit"] for entry in await lab.repository.log()}
    assert production.commit in commits


async def test_history_cannot_be_rewritten_by_a_push(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    await write(lab, OLD, "a")
    head = await write(lab, NEW, "b")
    user = await lab.user()
    user.pull()
    user.git("commit", "-q", "--amend", "-m", "As if nothing had happened")
    assert "non-fast-forward" in user.push("--force", ok=False)
    assert user.git("push", "origin", ":refs/heads/main", ok=False).returncode != 0
    assert await lab.repository.head() == head


async def test_a_rewrite_on_the_disk_does_not_bring_back_a_lost_key(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    first = await write(lab, OLD, "a")
    assert await write(lab, NEW, "b") == await write(lab, NEW, "b")
    user = await lab.user()
    user.git("--git-dir", user.url, "update-ref", "refs/heads/main", first)
    again = await write(lab, NEW, "b")
    assert await lab.repository.head() == again
    assert len(await lab.repository.log()) == 2
    assert await write(lab, OLD, "a") == first


async def test_killed_before_the_branch_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = GitStateLab(tmp_path)
    await write(lab, OLD, "a")

    async def die(*_: object) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(lab.repository, "_advance", die)
        with pytest.raises(Killed):
            await write(lab, NEW, "b")
    lab.repository = GitStateRepository(tmp_path / "home")
    commit = await write(lab, NEW, "b")
    assert await lab.repository.head() == commit
    assert len(await lab.repository.log()) == 2
    assert not list((tmp_path / "home" / "state.git").glob("index-*"))


async def test_killed_after_the_branch_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = GitStateLab(tmp_path)
    advance = lab.repository._advance

    async def advance_and_die(head: str | None, commit: str) -> bool:
        assert await advance(head, commit)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(lab.repository, "_advance", advance_and_die)
        with pytest.raises(Killed):
            await write(lab, NEW, "b")
    head = await lab.repository.head()
    lab.repository = GitStateRepository(tmp_path / "home")
    assert await write(lab, NEW, "b") == head
    assert len(await lab.repository.log()) == 1


async def test_a_push_in_the_middle_of_a_write_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = GitStateLab(tmp_path)
    await write(lab, OLD, "a")
    advance = lab.repository._advance
    pushed: list[str] = []

    async def push_first(head: str | None, commit: str) -> bool:
        if not pushed:
            pushed.append(await lab.push({desired_path(STAGING): f"release: {NEW}\n".encode()}))
        return await advance(head, commit)

    monkeypatch.setattr(lab.repository, "_advance", push_first)
    await write(lab, NEW, "b")
    staging, production = await lab.repository.desired(STAGING), await lab.repository.desired(PRODUCTION)
    assert staging is not None
    assert production is not None
    assert (staging.release, production.release) == (NEW, NEW)
    assert len(await lab.repository.log()) == 3


async def test_ten_writers_that_do_not_know_each_other(tmp_path: Path) -> None:
    writers = [GitStateRepository(tmp_path) for _ in range(10)]

    async def one(n: int, key: str) -> str:
        environment = EnvironmentId(f"app-{n}", "production")
        return await writers[n].write(environment, NEW, subject="s", body="", trailers={}, key=key)

    same = await asyncio.gather(*(one(n, "the key") for n in range(10)))
    assert len(set(same)) == 1
    different = await asyncio.gather(*(one(n, f"key {n}") for n in range(10)))
    assert len(set(different)) == 10
    entries = await writers[0].log()
    assert sorted(entry["Trimtab-Key"] for entry in entries) == sorted(["the key", *(f"key {n}" for n in range(10))])


async def test_a_lock_left_behind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = GitStateLab(tmp_path)
    await write(lab, OLD, "a")
    impatient = tmp_path / "gitconfig"
    impatient.write_text("[user]\n\tname = T\n\temail = t@localhost\n[core]\n\tfilesRefLockTimeout = 50\n")
    monkeypatch.setattr("trimtab.adapters.git.command.CONFIG", impatient)
    lock = tmp_path / "home" / "state.git" / "refs" / "heads" / "main.lock"
    lock.touch()
    with pytest.raises(TrimtabError) as caught:
        await write(lab, NEW, "b")
    assert caught.value.problem.code == "git-locked"
    assert str(lock) in caught.value.problem.message
    lock.unlink()
    assert await write(lab, NEW, "b")


async def test_the_file_tells_people_what_it_is(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    await write(lab, NEW, "a", PRODUCTION, {"Trimtab-Run": "7"})
    user = await lab.user()
    user.pull()
    comment, line = (user.folder / "shop" / "production.yaml").read_text().splitlines()
    assert comment.startswith("# ")
    assert "shop/production" in comment
    assert line == f"release: {NEW}"
    message = user.git("log", "-1", "--format=%B").stdout.rstrip("\n")
    assert message == f"Deploy {NEW[:12]}\n\nBecause.\n\nTrimtab-Run: 7\nTrimtab-Key: a"
