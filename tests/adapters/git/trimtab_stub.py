"""What answers the hooks in place of Trimtab."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass
class Heard:
    """What the hooks posted: (path, authorization, body)."""

    url: str = ""
    posts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


@asynccontextmanager
async def trimtab_stub(reply: Reply) -> AsyncIterator[Heard]:
    """An HTTP server that answers every POST with `reply(path, body)`."""
    heard = Heard()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        path = lines[0].split(" ")[1]
        heard.posts.append((path, headers["authorization"], body))
        content = json.dumps(reply(path, body)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    heard.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield heard
    finally:
        server.close()
