"""Git over HTTP: the real `git` against the adapter behind a real server."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.adapters.git.test_hooks import welcome
from tests.adapters.git.trimtab_stub import trimtab_stub
from tests.adapters.git.user import User
from trimtab.adapters.git import GitHttpBackend, GitSource, GitStateRepository, configure_hooks
from trimtab.ports.git_http import GitRequest
from trimtab.testing.memory_source import File
from trimtab.testing.source_contract import README
from trimtab.testing.state_repository_contract import NEW, PRODUCTION


@asynccontextmanager
async def served(home: Path, idle_timeout_s: float = 30.0) -> AsyncIterator[tuple[str, list[Request]]]:
    """The address under which `home` is served, and the requests that came."""
    backend, requests = GitHttpBackend(home, idle_timeout_s), []

    async def git(request: Request) -> StreamingResponse:
        requests.append(request)
        answer = await backend.serve(
            GitRequest(
                method=request.method,
                path="/" + request.path_params["path"],
                query=request.url.query,
                headers=dict(request.headers),
                body=request.stream(),
                user="ada",
            )
        )
        return StreamingResponse(answer.body, answer.status, answer.headers)

    app = Starlette(routes=[Route("/git/{path:path}", git, methods=["GET", "POST"])])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/git", requests
        finally:
            await backend.aclose()
            server.should_exit = True
            await serving


async def test_the_first_push_makes_the_repository(tmp_path: Path) -> None:
    async with trimtab_stub(welcome) as heard:
        configure_hooks(tmp_path / "home", heard.url, "t")
        async with served(tmp_path / "home") as (url, _):
            user = User(tmp_path / "user", f"{url}/shop.git")
            commit = user.commit(README)
            said = await user.apush()
            assert "remote: Run 12 of shop" in said
            await asyncio.to_thread(user.git, "clone", "-q", f"{url}/shop", str(tmp_path / "clone"))
    assert heard.posts[0][2]["pusher"] == "ada"
    assert (tmp_path / "clone" / "README").read_bytes() == b"hello\n"
    head = await GitSource(tmp_path / "home").head("shop", "main")
    assert head is not None
    assert head.commit == commit


async def test_large_bodies_pass_in_both_directions(tmp_path: Path) -> None:
    content = os.urandom(6 * 1024 * 1024)
    async with served(tmp_path / "home") as (url, requests):
        user = User(tmp_path / "user", f"{url}/shop.git")
        user.commit({"index.bin": File(content)})
        await user.apush()
        await asyncio.to_thread(user.git, "clone", "-q", f"{url}/shop.git", str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "index.bin").read_bytes() == content
    assert any(request.headers.get("transfer-encoding") == "chunked" for request in requests)
    assert any(request.headers.get("git-protocol") == "version=2" for request in requests)


async def test_compressed_requests_are_understood(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as (url, requests):
        user = User(tmp_path / "user", f"{url}/shop.git")
        user.commit(README)
        await user.apush()
        clone = User(tmp_path / "clone", f"{url}/shop.git")
        for n in range(60):
            clone.git("commit", "-q", "--allow-empty", "-m", f"Own {n}")
        await asyncio.to_thread(clone.git, "fetch", "-q", "origin", "main")
    assert any(request.headers.get("content-encoding") == "gzip" for request in requests)


async def test_the_state_repository_is_served(tmp_path: Path) -> None:
    repository = GitStateRepository(tmp_path / "home")
    await repository.write(PRODUCTION, NEW, subject="Deploy", body="", trailers={}, key="a")
    async with served(tmp_path / "home") as (url, _):
        user = User(tmp_path / "user", f"{url}/state.git")
        await asyncio.to_thread(user.pull)
        user.commit({"shop/production.yaml": None})
        await user.apush()
    assert await repository.desired(PRODUCTION) is None


async def test_pushes_at_once_are_all_taken(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as (url, _):
        users = [User(tmp_path / f"user-{n}", f"{url}/shop.git") for n in range(4)]
        commits = [user.commit({"n": File(str(n).encode())}) for n, user in enumerate(users)]
        await asyncio.gather(*(user.apush(branch=f"b{n}") for n, user in enumerate(users)))
    source = GitSource(tmp_path / "home")
    heads = [await source.head("shop", f"b{n}") for n in range(4)]
    assert [head and head.commit for head in heads] == commits


async def nothing() -> AsyncIterator[bytes]:
    no_chunks: tuple[bytes, ...] = ()
    for chunk in no_chunks:
        yield chunk


@pytest.mark.parametrize(
    "path",
    [
        "/../shop.git/info/refs",
        "/Shop.git/info/refs",
        "/a/b.git/info/refs",
        "/.git/info/refs",
        "/shop.git/HEAD",
        "/shop.git/objects/info/packs",
        "/shop.git/info/../../state.git/info/refs",
        "/shop.git",
        "/",
        "/shop\n.git/info/refs",
    ],
)
async def test_other_paths_are_not_found_and_make_nothing(tmp_path: Path, path: str) -> None:
    request = GitRequest("GET", path, "service=git-receive-pack", {}, nothing())
    answer = await GitHttpBackend(tmp_path / "home").serve(request)
    assert answer.status == 404
    assert [chunk async for chunk in answer.body]
    assert not (tmp_path / "home").exists()


async def test_cloning_what_is_not_there_says_so(tmp_path: Path) -> None:
    request = GitRequest("GET", "/shop.git/info/refs", "service=git-upload-pack", {}, nothing())
    answer = await GitHttpBackend(tmp_path / "home").serve(request)
    assert answer.status == 404
    assert b"no application shop" in b"".join([chunk async for chunk in answer.body])
    assert not (tmp_path / "home").exists()


async def test_a_client_that_stalls_is_given_up(tmp_path: Path) -> None:
    await GitSource(tmp_path).create("shop")
    before = set(psutil.Process().children(recursive=True))
    never = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"0094"
        await never.wait()

    backend = GitHttpBackend(tmp_path, idle_timeout_s=0.2)
    headers = {"content-type": "application/x-git-receive-pack-request"}
    request = GitRequest("POST", "/shop.git/git-receive-pack", "", headers, stalled())
    async with asyncio.timeout(20):
        answer = await backend.serve(request)
        with pytest.raises(Exception, match="nothing was sent or received"):
            async for _ in answer.body:
                pass
        await backend.aclose()
    assert set(psutil.Process().children(recursive=True)) <= before


async def test_a_client_that_goes_away_leaves_nothing_running(tmp_path: Path) -> None:
    await GitSource(tmp_path / "home").create("shop")
    before = set(psutil.Process().children(recursive=True))
    async with served(tmp_path / "home") as (url, requests):
        host, _, port = url.removeprefix("http://").removesuffix("/git").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /git/shop.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/x-git-receive-pack-request\r\n\r\n0094"
        )
        async with asyncio.timeout(20):
            while not requests or set(psutil.Process().children(recursive=True)) <= before:
                await asyncio.sleep(0.01)
            writer.close()
            while not set(psutil.Process().children(recursive=True)) <= before:
                await asyncio.sleep(0.01)


async def hanging_hook(home: Path) -> None:
    source = GitSource(home)
    await source.create("shop")
    (source.path("shop") / "hooks" / "post-receive").write_text("#!/bin/sh\nexec sleep 600\n")


def names(processes: set[psutil.Process]) -> set[str]:
    """Of those that still run."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


async def test_closing_ends_what_is_still_being_served(tmp_path: Path) -> None:
    await hanging_hook(tmp_path / "home")
    before = set(psutil.Process().children(recursive=True))
    async with served(tmp_path / "home") as (url, _):
        user = User(tmp_path / "user", f"{url}/shop.git")
        user.commit(README)
        push = asyncio.create_task(user.apush(ok=False))
        async with asyncio.timeout(20):
            while "sleep" not in names(set(psutil.Process().children(recursive=True)) - before):
                await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        await push
        assert set(psutil.Process().children(recursive=True)) <= before


async def test_a_hook_that_hangs_is_given_up(tmp_path: Path) -> None:
    await hanging_hook(tmp_path / "home")
    before = set(psutil.Process().children(recursive=True))
    async with served(tmp_path / "home", idle_timeout_s=1) as (url, _):
        user = User(tmp_path / "user", f"{url}/shop.git")
        user.commit(README)
        async with asyncio.timeout(30):
            await user.apush(ok=False)
            while not set(psutil.Process().children(recursive=True)) <= before:
                await asyncio.sleep(0.01)
