"""HTTP/1.1 over one unix socket connection, for Envoy's administration interface only.

A general client costs more than a millisecond of this process for each request; Envoy answers in a tenth of that, and
the gateway is read back several times a second for every rollout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode

_ATTEMPTS = 2


class UnixHttp:
    """One connection, one request at a time, opened when needed."""

    def __init__(self, socket_path: str, timeout_s: float) -> None:
        self._socket_path = socket_path
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, query: Mapping[str, str]) -> bytes:
        """The answer's body, whatever its status. Raises OSError (TimeoutError too) when there is no answer.

        A connection from before the server was restarted fails once, so a request may be carried out twice.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        async with self._turn:
            for _ in range(_ATTEMPTS - 1):
                try:
                    return await self._exchange(method, target)
                except TimeoutError:
                    raise  # it is there and does not answer: asking again would only take as long again
                except OSError:
                    continue
            return await self._exchange(method, target)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, method: str, target: str) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._streams is None:
                    self._streams = await asyncio.open_unix_connection(self._socket_path)
                reader, writer = self._streams
                writer.write(f"{method} {target} HTTP/1.1\r\nhost: envoy\r\ncontent-length: 0\r\n\r\n".encode())
                return await _body(reader)
        except (asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise ConnectionError("the answer broke off") from error
        except BaseException:
            # Also when cancelled: what is still to come on this connection belongs to nobody.
            self.close()
            raise


async def _body(reader: asyncio.StreamReader) -> bytes:
    lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:] if line)
    if headers.get(b"transfer-encoding") != b"chunked":
        return await reader.readexactly(int(headers[b"content-length"]))
    chunks = []
    while size := int(await reader.readline(), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(chunks)
