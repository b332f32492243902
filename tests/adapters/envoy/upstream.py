"""An instance of a release, as small as it can be and still stream, echo and fail."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import socket
from contextlib import suppress

from trimtab.core.model.traffic import Endpoint

_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Upstream:
    """Answers with its name.

    `/stream` sends an event whenever `tick` is called until `finish`; `/fail` answers 500; `/break` closes the
    connection in the middle of the answer; `/held` answers when `finish` is called; an upgrade echoes frames.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests = 0
        self.heads: list[bytes] = []
        """Request lines and headers, as they came."""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._ticks = asyncio.Condition()
        self._ticked = 0
        self._finished = asyncio.Event()

    async def start(self, port: int = 0) -> Endpoint:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        host, bound = self._server.sockets[0].getsockname()
        return Endpoint(host, bound)

    async def stop(self) -> None:
        self._finished.set()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()

    async def tick(self) -> None:
        async with self._ticks:
            self._ticked += 1
            self._ticks.notify_all()

    async def finish(self) -> None:
        self._finished.set()
        await self.tick()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._answer(reader, writer):
                await writer.drain()
        self._connections.discard(writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        self.heads.append(head.lower())
        path = head.split(b" ", 2)[1]
        if path == b"/stream":
            await self._stream(writer)
        elif path == b"/socket":
            await self._echo(head, reader, writer)
            return False
        elif path == b"/break":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
            await writer.drain()
            return False
        else:
            if path == b"/held":
                await self._finished.wait()
            status = b"500 Internal Server Error" if path == b"/fail" else b"200 OK"
            writer.write(_response(status, self.name.encode()))
        return True

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        sent = 0
        while not self._finished.is_set():
            event = f"data: {self.name} {sent}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            sent += 1
            async with self._ticks:
                seen = self._ticked
                await self._ticks.wait_for(lambda seen=seen: self._ticked > seen)  # type: ignore[misc]
        writer.write(b"c\r\ndata: done\n\n\r\n0\r\n\r\n")

    async def _echo(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        key = next(
            line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-k")
        )
        assert headers[b"upgrade"] == b"websocket"
        accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + accept + b"\r\n\r\n"
        )
        while data := await reader.read(1024):
            writer.write(data)
            await writer.drain()


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


def free_address() -> Endpoint:
    """An address that is free and stays so: below the ports that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(12_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return Endpoint("127.0.0.1", port)
