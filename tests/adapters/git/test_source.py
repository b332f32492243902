"""What only real Git can show of `GitSource`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.adapters.git.labs import GitSourceLab
from trimtab.adapters.git import GitSource
from trimtab.testing.memory_source import File
from trimtab.testing.source_contract import README, problem_of


@asynccontextmanager
async def remote_that_says(answer: bytes | None) -> AsyncIterator[int]:
    """A port where every connection is answered with `answer`; None: never."""
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if answer is None:
            await closed.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        closed.set()
        server.close()


def processes_below_us() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("scheme", ["http", "git"])
async def test_a_remote_that_hangs_is_given_up(tmp_path: Path, scheme: str) -> None:
    source = GitSource(tmp_path, timeout_s=0.4)
    await source.create("shop")
    before = processes_below_us()
    async with remote_that_says(None) as port:
        url = f"{scheme}://127.0.0.1:{port}/shop.git"
        problem = await asyncio.wait_for(problem_of(source.fetch("shop", url, "main")), 20)
    assert problem.code == "git-remote-timeout"
    assert url in problem.message
    assert "0.4 s" in problem.message
    assert problem.where == "shop.git"
    assert processes_below_us() <= before


async def test_a_cancelled_call_leaves_no_process(tmp_path: Path) -> None:
    source = GitSource(tmp_path)
    await source.create("shop")
    before = processes_below_us()
    async with remote_that_says(None) as port:
        fetch = asyncio.create_task(source.fetch("shop", f"http://127.0.0.1:{port}/shop.git", "main"))
        async with asyncio.timeout(10):
            while processes_below_us() <= before:
                await asyncio.sleep(0.01)
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch
    assert processes_below_us() <= before


async def test_a_remote_that_wants_a_password_is_told_apart_and_no_password_is_shown(tmp_path: Path) -> None:
    source = GitSource(tmp_path)
    await source.create("shop")
    refusal = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with remote_that_says(refusal) as port:
        problem = await problem_of(source.fetch("shop", f"http://ada:s3cret@127.0.0.1:{port}/shop.git", "main"))
    assert problem.code == "git-auth"
    assert "s3cret" not in str(problem)
    assert f"http://127.0.0.1:{port}/shop.git" in problem.message


async def test_a_port_where_nobody_listens_is_unreachable(tmp_path: Path) -> None:
    source = GitSource(tmp_path)
    await source.create("shop")
    async with remote_that_says(b"") as port:
        pass
    problem = await problem_of(source.fetch("shop", f"http://127.0.0.1:{port}/shop.git", "main"))
    assert problem.code == "git-remote-unreachable"


@pytest.mark.parametrize("url", ["ext::sh -c touch% pwned", "--upload-pack=touch pwned"])
async def test_an_address_cannot_run_a_program(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = GitSource(tmp_path / "home")
    await source.create("shop")
    await problem_of(source.fetch("shop", url, "main"))
    assert not (tmp_path / "pwned").exists()


async def test_without_git_the_problem_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = await problem_of(GitSource(tmp_path / "home").create("shop"))
    assert problem.code == "git-missing"
    assert "install" in problem.hint


@pytest.mark.parametrize("commit", ["--index-output=pwned", "main", "HEAD", ""])
async def test_only_a_commits_id_is_a_commit(tmp_path: Path, commit: str) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    await lab.commit("shop", README)
    assert (await problem_of(lab.source.checkout("shop", commit, tmp_path / "out"))).code == "git-commit-missing"
    assert (await problem_of(lab.source.files("shop", commit))).code == "git-commit-missing"


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "x.lock", "a:b", "a//b", "/a", "a/", "a\nb"])
async def test_what_cannot_be_a_branch_is_refused(tmp_path: Path, branch: str) -> None:
    source = GitSource(tmp_path)
    await source.create("shop")
    assert (await problem_of(source.head("shop", branch))).code == "git-branch-name"


async def test_submodules_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    await lab.commit("shop", README)
    user = lab.user("shop")
    head = user.git("rev-parse", "HEAD").stdout.strip()
    user.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor/library")
    user.git("commit", "-q", "-m", "Add a submodule")
    user.push()
    change = await lab.source.head("shop", "main")
    assert change is not None
    problem = await problem_of(lab.source.checkout("shop", change.commit, tmp_path / "out"))
    assert problem.code == "git-submodule"
    assert "vendor/library" in problem.message
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


async def test_what_a_crash_left_is_made_anew(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    commit = await lab.commit("shop", README)
    (tmp_path / ".out.half").mkdir()
    (tmp_path / ".out.half" / "junk").write_text("half a file")
    (tmp_path / ".out.index").write_text("half an index")
    (tmp_path / ".out.index.lock").touch()
    await lab.source.checkout("shop", commit, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["README"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


async def test_the_files_are_those_of_the_commit_whatever_attributes_and_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "someone"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".gitconfig").write_text("[core]\n\tautocrlf = true\n\thooksPath = /nowhere\n[alias]\n\tlog = !false\n")
    (home / ".config" / "git" / "attributes").write_text("* text eol=crlf\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    lab = GitSourceLab(tmp_path / "lab")
    await lab.source.create("shop")
    monkeypatch.delenv("GIT_DIR")
    ignored = {".gitattributes": File(b"secret export-ignore\nv export-subst\n"), "secret": File(b"a\nb\n")}
    commit = await lab.commit("shop", {**ignored, "v": File(b"$Format:%H$\n")})
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    await lab.source.checkout("shop", commit, tmp_path / "out")
    assert (tmp_path / "out" / "secret").read_bytes() == b"a\nb\n"
    assert (tmp_path / "out" / "v").read_bytes() == b"$Format:%H$\n"


async def test_some_files_are_written_as_they_are_among_all_others(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path / "lab")
    await lab.source.create("shop")
    attributes = {".gitattributes": File(b"*.md text eol=crlf\n"), "docs/sub/.gitattributes": File(b"raw.md -text\n")}
    texts = {f"docs/{name}.md": File(b"a\nb\n") for name in ("sub/raw", "sub/plain", "top")}
    commit = await lab.commit("shop", {**attributes, **texts, "other": File(b"")})
    await lab.source.checkout("shop", commit, tmp_path / "all")
    for number, only in enumerate((list(texts), ["docs/top.md"], [*texts, "docs/sub/.gitattributes"])):
        some = tmp_path / f"some-{number}"
        await lab.source.checkout("shop", commit, some, only)
        assert {path: (some / path).read_bytes() for path in only} == {
            p: (tmp_path / "all" / p).read_bytes() for p in only
        }
        assert sorted(path.name for path in some.rglob("*") if path.is_file()) == sorted(Path(p).name for p in only)
    assert (tmp_path / "all/docs/top.md").read_bytes() == b"a\r\nb\r\n"
    assert not (tmp_path / "some-1/docs/sub").exists()


async def test_a_merge_is_one_change(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    first = await lab.commit("shop", README)
    user = lab.user("shop")
    user.git("checkout", "-q", "-b", "feature")
    for n in range(3):
        user.commit({f"f{n}": File(b"")})
    user.git("checkout", "-q", "main")
    user.git("merge", "-q", "--no-ff", "-m", "Merge the feature", "feature")
    user.push()
    head = await lab.source.head("shop", "main")
    assert head is not None
    assert [c.subject for c in await lab.source.changes("shop", "main", first, head.commit)] == ["Merge the feature"]


async def test_two_pushes_at_once(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    await lab.commit("shop", README)
    one, two = lab.user("shop"), GitSourceLab(tmp_path / "other").user("shop")
    two.git("remote", "set-url", "origin", lab.address("shop"))
    two.pull()
    commits = [one.commit({"one": File(b"1")}), two.commit({"two": File(b"2")})]
    said = await asyncio.gather(one.apush(ok=False), two.apush(ok=False))
    head = await lab.source.head("shop", "main")
    assert head is not None
    assert head.commit in commits
    assert sum("rejected" in text or "failed" in text for text in said) == 1
    await asyncio.gather(one.apush(branch="b1"), two.apush(branch="b2"))
    for branch, commit in zip(("b1", "b2"), commits, strict=True):
        change = await lab.source.head("shop", branch)
        assert change is not None
        assert change.commit == commit


async def test_many_creations_at_once_make_one_repository(tmp_path: Path) -> None:
    sources = [GitSource(tmp_path) for _ in range(8)]
    await asyncio.gather(*(source.create("shop") for source in sources))
    assert [path.name for path in tmp_path.iterdir()] == ["shop.git"]


async def test_packed_branches_are_among_the_heads(tmp_path: Path) -> None:
    """Git's own upkeep moves refs from files of their own into one for all."""
    lab = GitSourceLab(tmp_path)
    await lab.source.create("shop")
    await lab.commit("shop", README)
    commit = await lab.commit("shop", README | {"verse": File(b"")}, branch="pr/verse")
    await lab.source._repository("shop").git("pack-refs", "--all")
    assert [head.commit for head in await lab.source.heads("shop", "pr/")] == [commit]
    assert await lab.source.heads("shop", "other/") == ()
