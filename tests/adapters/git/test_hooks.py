"""How pushers and Trimtab hear of each other; every push here is made by path, with the real hooks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.git.labs import GitSourceLab, GitStateLab
from tests.adapters.git.trimtab_stub import trimtab_stub
from trimtab.adapters.git import configure_hooks, hook_program
from trimtab.core.errors import TrimtabError
from trimtab.core.model.desired import desired_path, parse_desired
from trimtab.testing.memory_source import File
from trimtab.testing.source_contract import README
from trimtab.testing.state_repository_contract import NEW, OLD, PRODUCTION, write

NOTHING = "0" * 40


def welcome(_: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"accept": True, "lines": [f"Run 12 of {body['repository']}: http://localhost/runs/12", "Grüße"]}


async def test_a_push_is_announced_and_answered(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    async with trimtab_stub(welcome) as heard:
        configure_hooks(tmp_path / "home", heard.url, "the-token")
        user = lab.user("shop")
        commit = user.commit(README)
        said = await user.apush()
    assert "remote: Run 12 of shop: http://localhost/runs/12" in said
    assert "remote: Grüße" in said
    path, authorization, body = heard.posts[0]
    assert (path, authorization) == ("/internal/git/post-receive", "bearer the-token")
    assert body["repository"] == "shop"
    assert body["pusher"] == ""
    assert body["refs"] == [{"old": NOTHING, "new": commit, "ref": "refs/heads/main"}]


async def test_every_ref_is_announced_whatever_its_name(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    names = ['quo"te', "Grüße-🙂", "plain"]
    async with trimtab_stub(welcome) as heard:
        configure_hooks(tmp_path / "home", heard.url, "t")
        user = lab.user("shop")
        user.commit(README)
        refs = [f"HEAD:refs/heads/{name}" for name in names]
        await asyncio.to_thread(user.git, "push", "origin", *refs)
    assert {ref["ref"] for ref in heard.posts[0][2]["refs"]} == {f"refs/heads/{name}" for name in names}


async def test_a_push_is_taken_while_trimtab_is_away(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    async with trimtab_stub(welcome) as heard:
        pass
    user = lab.user("shop")
    for configured in (False, True):
        if configured:
            configure_hooks(tmp_path / "home", heard.url, "t")
        commit = user.commit({"n": File(str(configured).encode())})
        assert "remote: Trimtab does not answer; it will pick this push up" in await user.apush()
        head = await lab.source.head("shop", "main")
        assert head is not None
        assert head.commit == commit


async def test_only_the_owner_can_read_the_token(tmp_path: Path) -> None:
    configure_hooks(tmp_path, "http://127.0.0.1:1", "secret")
    assert (tmp_path / "hook-endpoint").stat().st_mode & 0o777 == 0o600


async def test_hooks_are_renewed(tmp_path: Path) -> None:
    lab, state = GitSourceLab(tmp_path), GitStateLab(tmp_path)
    await lab.source.create("shop")
    await state.repository.head()
    hooks = [tmp_path / "home" / name for name in ("shop.git/hooks/post-receive", "state.git/hooks/pre-receive")]
    for hook in hooks:
        hook.write_text("#!/gone/python\n")
    configure_hooks(tmp_path / "home", "http://127.0.0.1:1", "t")
    for hook in hooks:
        assert "hook_program.py" in hook.read_text()
    assert not (tmp_path / "home" / "shop.git" / "hooks" / "pre-receive").exists()


def review(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What Trimtab does with a push to the state repository."""
    lines = []
    for ref in body["refs"] if path.endswith("pre-receive") else ():
        for name, content in ref["files"].items():
            try:
                if content is not None and name.endswith(".yaml"):
                    parse_desired(content.encode(), name)
            except TrimtabError as error:
                lines.append(str(error))
    return {"accept": not lines, "lines": lines}


async def test_an_edit_that_trimtab_refuses_changes_nothing(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    head = await write(lab, OLD, "a")
    user = await lab.user()
    user.pull()
    async with trimtab_stub(review) as heard:
        configure_hooks(tmp_path / "home", heard.url, "t")
        user.commit({desired_path(PRODUCTION): File(b"release: latest\n"), "README": File(b"\xff")})
        said = await user.apush(ok=False)
        assert "remote: shop/production.yaml:1: `latest` is not the whole digest" in said
        assert "pre-receive hook declined" in said
        assert await lab.repository.head() == head
        user.commit({desired_path(PRODUCTION): File(f"release: {NEW}\n".encode())})
        await user.apush()
    desired = await lab.repository.desired(PRODUCTION)
    assert desired is not None
    assert desired.release == NEW
    assert [post[0].rpartition("/")[2] for post in heard.posts] == ["pre-receive", "pre-receive", "post-receive"]
    assert heard.posts[0][2]["repository"] == "state"
    files = heard.posts[1][2]["refs"][0]["files"]
    assert files == {desired_path(PRODUCTION): f"release: {NEW}\n", "README": "\ufffd"}


async def test_the_review_sees_removed_files_first_commits_and_merges(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    user = await lab.user()
    async with trimtab_stub(review) as heard:
        configure_hooks(tmp_path / "home", heard.url, "t")
        user.commit({"a/b.yaml": File(f"release: {NEW}\n".encode()), "c": File(b"1")})
        await user.apush()
        user.git("checkout", "-q", "-b", "side")
        user.commit({"d": File(b"2")})
        user.git("checkout", "-q", "main")
        user.commit({"c": None})
        user.git("merge", "-q", "--no-ff", "-m", "Merge", "side")
        await user.apush()
    asked = [post[2]["refs"][0]["files"] for post in heard.posts if post[0].endswith("pre-receive")]
    assert asked == [{"a/b.yaml": f"release: {NEW}\n", "c": "1"}, {"c": None, "d": "2"}]


async def test_an_edit_is_taken_while_trimtab_is_away(tmp_path: Path) -> None:
    lab = GitStateLab(tmp_path)
    commit = await lab.push({desired_path(PRODUCTION): f"release: {NEW}\n".encode()})
    assert await lab.repository.head() == commit


def test_a_trimtab_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(hook_program, "ANSWER_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(OSError):
        hook_program.ask(f"http://127.0.0.1:{server.getsockname()[1]}/x", "t", "{}")


@given(st.text())
def test_quoted_text_is_json(text: str) -> None:
    assert json.loads(hook_program.quote(text)) == text
