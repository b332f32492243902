"""A private repository over real HTTP: Git shows what it has to show, and nobody else gets to see it."""

from __future__ import annotations

import functools
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.adapters.git.labs import GitSourceLab
from trimtab.adapters.git import GitSource
from trimtab.core.errors import TrimtabError
from trimtab.testing.memory_source import File

SECRET = "Basic dHJpbXRhYjp0aGUtdG9rZW4="


@contextmanager
def private(folder: Path) -> Iterator[str]:
    """The address of a server of Git's plain files, for those who show the secret."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("authorization") == SECRET:
                super().do_GET()
            else:
                self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def test_a_private_repository_is_fetched_with_what_the_application_may_show(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("upstream")
    commit = await lab.commit("upstream", {"README": File(b"secret plans\n")})
    bare = lab.source.path("upstream")
    subprocess.run(["git", "--git-dir", str(bare), "update-server-info"], check=True)
    asked: list[tuple[str, str]] = []

    def access(app: str, url: str) -> Mapping[str, str]:
        asked.append((app, url))
        return {"Authorization": SECRET}

    with private(bare.parent) as address:
        url = f"{address}/upstream.git"
        source = GitSource(tmp_path / "mine", access=access)
        await source.create("shop")
        head = await source.fetch("shop", url, "main")
        assert head is not None
        assert head.commit == commit
        assert asked == [("shop", url)]
        stranger = GitSource(tmp_path / "other")
        await stranger.create("shop")
        with pytest.raises(TrimtabError) as refused:
            await stranger.fetch("shop", url, "main")
    assert refused.value.problem.code == "git-auth"
    written = b"".join(path.read_bytes() for path in (tmp_path / "mine").rglob("*") if path.is_file())
    assert SECRET.split()[1].encode() not in written


async def test_nothing_secret_is_among_the_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that stands in for Git writes down what anybody on the machine could read of it."""
    seen = tmp_path / "seen"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {seen}\nexec /usr/bin/env -i PATH=/usr/bin:/bin git "$@"\n')
    program.chmod(0o755)
    source = GitSource(tmp_path / "mine", access=lambda *_: {"Authorization": SECRET})
    await source.create("shop")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    with pytest.raises(TrimtabError) as refused:
        await source.fetch("shop", "http://127.0.0.1:9/shop.git", "main")
    assert SECRET.split()[1] not in seen.read_text()
    assert SECRET.split()[1] not in str(refused.value)
