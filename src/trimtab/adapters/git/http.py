"""Git over HTTP: Git's own `http-backend`, fed and read in chunks."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from weakref import WeakSet

from trimtab.adapters.git import command
from trimtab.adapters.git.layout import repository_path
from trimtab.adapters.git.repository import create
from trimtab.core.errors import TrimtabError, failure
from trimtab.ports.git_http import GitRequest, GitResponse

_PATH = re.compile(r"/(?P<name>[^/]+?)(?:\.git)?/(?P<what>info/refs|git-upload-pack|git-receive-pack)")
_CHUNK = 64 * 1024
_MAX_HEADER_BYTES = 64 * 1024
_PASSED_HEADERS = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class GitHttpBackend:
    """`GitHttp` on the repositories in `home`.

    An exchange in which no byte moves either way for `idle_timeout_s` is ended. A push whose body has wholly arrived is
    carried to its end even if the client is gone: its hooks run, and Trimtab hears of it. The answer begins when the
    request has been read, since a server may look for a disconnect where the request's body comes from.
    """

    def __init__(self, home: Path, idle_timeout_s: float = 60.0) -> None:
        self._home = home.resolve()
        self._idle_timeout_s = idle_timeout_s
        self._exchanges: WeakSet[_Exchange] = WeakSet()
        self._closing: set[asyncio.Task[None]] = set()

    async def serve(self, request: GitRequest) -> GitResponse:
        match = _PATH.fullmatch(request.path)
        if match is None:
            return _not_found("not a Git address; repositories are at /APP.git")
        name = match["name"]
        try:
            repository = repository_path(self._home, name)
        except TrimtabError as error:
            return _not_found(str(error))
        if _is_push(match["what"], request.query):
            await create(self._home, name, self._idle_timeout_s)
        elif not repository.is_dir():
            return _not_found(f"there is no application {name} here; a push makes one")
        return await self._exchange(request, f"/{repository.name}/{match['what']}")

    async def aclose(self) -> None:
        """End every exchange that is still going on."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await asyncio.gather(*(exchange.kill() for exchange in self._exchanges))

    async def _exchange(self, request: GitRequest, path: str) -> GitResponse:
        process = await command.start("http-backend", env=_cgi(request, self._home, path), cwd=self._home)
        exchange = _Exchange(process, request.body, self._idle_timeout_s)
        self._exchanges.add(exchange)
        try:
            status, headers, rest = await exchange.opening()
        except BaseException:
            self._close(exchange)
            raise
        return GitResponse(status, headers, self._body(exchange, rest))

    async def _body(self, exchange: _Exchange, rest: bytes) -> AsyncIterator[bytes]:
        try:
            if rest:
                yield rest
            while chunk := await exchange.read():
                yield chunk
        finally:
            self._close(exchange)

    def _close(self, exchange: _Exchange) -> None:
        """End the exchange in a task of its own, because whoever read it may just have been cancelled."""

        task = asyncio.create_task(exchange.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Exchange:
    """One running `http-backend`, being fed."""

    def __init__(self, process: Process, body: AsyncIterator[bytes], idle_timeout_s: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._idle_timeout_s = idle_timeout_s
        self._moved_bytes = 0
        self._complaint = b""
        self._whole = False
        """Whether all of the request was passed on."""
        self._timed_out = False
        self._feeding = asyncio.create_task(self._feed(body))
        self._listening = asyncio.create_task(self._listen())
        self._watching = asyncio.create_task(self._watch())

    async def opening(self) -> tuple[int, Mapping[str, str], bytes]:
        """Pass the request on; the answer's status, headers and the beginning of its body."""
        text = b""
        while b"\r\n\r\n" not in text:
            chunk = await self.read()
            text += chunk
            if not chunk or len(text) > _MAX_HEADER_BYTES:
                await asyncio.wait({self._listening})
                said = self._complaint.decode("utf-8", "replace").strip()
                raise failure(
                    "git-http", f"`git http-backend` gave no answer: {said}", "see that Git is installed whole"
                )
        await asyncio.wait({self._feeding})
        top, _, rest = text.partition(b"\r\n\r\n")
        pairs = (line.partition(":") for line in top.decode("latin-1").split("\r\n"))
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(headers.pop("status", "200").split(" ")[0])
        return status, headers, rest

    async def read(self) -> bytes:
        """The next chunk of the answer; empty at its end. Raises `TrimtabError` (`git-http-idle`)."""
        chunk = await self._stdout.read(_CHUNK)
        self._moved_bytes += len(chunk)
        if not chunk and self._timed_out:
            message = f"nothing was sent or received for {self._idle_timeout_s:g} s"
            raise failure("git-http-idle", message, "try again with a steadier connection")
        return chunk

    async def close(self) -> None:
        """Let a request that arrived wholly be carried out, then see that nothing is left."""
        try:
            if self._whole:
                while await self.read():
                    pass
                await self._process.wait()
        except TrimtabError:
            pass
        finally:
            await self.kill()

    async def kill(self) -> None:
        """End it now."""
        tasks = (self._feeding, self._listening, self._watching)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._process.returncode is None:
            await command.end_group(self._process)

    async def _feed(self, body: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in body:
                self._stdin.write(chunk)
                await self._stdin.drain()
                self._moved_bytes += len(chunk)
            self._whole = True
        except (BrokenPipeError, ConnectionResetError):
            self._whole = True  # the backend has answered without reading it all: that is its right
        except Exception:
            pass  # the client went away; what that looks like is the server's affair
        finally:
            self._stdin.close()

    async def _listen(self) -> None:
        while chunk := await self._stderr.read(_CHUNK):
            self._complaint = (self._complaint + chunk)[-_MAX_HEADER_BYTES:]

    async def _watch(self) -> None:
        """End it when nothing moved, also when nobody reads the answer."""
        moved_bytes = -1
        while moved_bytes != self._moved_bytes:
            moved_bytes = self._moved_bytes
            await asyncio.sleep(self._idle_timeout_s)
        self._timed_out = True
        self._feeding.cancel()
        await command.end_group(self._process)


def _is_push(what: str, query: str) -> bool:
    return what == "git-receive-pack" or (what == "info/refs" and "service=git-receive-pack" in query.split("&"))


def _cgi(request: GitRequest, home: Path, path: str) -> dict[str, str]:
    """The request as `git http-backend` wants it. Without a length, it reads the body to its end."""
    env = {
        "GIT_PROJECT_ROOT": str(home),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": path,
        "QUERY_STRING": request.query,
        "REMOTE_USER": request.user,
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
    }
    return env | {cgi: request.headers[name] for name, cgi in _PASSED_HEADERS.items() if name in request.headers}


def _not_found(sentence: str) -> GitResponse:
    async def body() -> AsyncIterator[bytes]:
        yield f"{sentence}\n".encode()

    return GitResponse(404, {"content-type": "text/plain; charset=utf-8"}, body())
