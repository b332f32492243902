"""Asking an instance whether it is ready."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from trimtab.core.model.traffic import Endpoint

_TIMEOUT_S = 2.0
_MOST_BYTES = 65536


async def probe(endpoint: Endpoint, path: str | None) -> str:
    """What is wrong with the instance's answer, as in "it got ..."; empty when nothing is.

    GET `path` must answer 2xx or 3xx; without a path a connection is enough. A dozen lines of HTTP instead of a client
    library: this runs 20 times a second while an instance starts.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await _ask(endpoint, path)
    except TimeoutError:
        return f"no answer within {_TIMEOUT_S:g} s"
    except ConnectionRefusedError:
        return "connection refused"
    except OSError as error:
        return error.strerror or str(error)


async def _ask(endpoint: Endpoint, path: str | None) -> str:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    try:
        if path is None:
            return ""
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {endpoint.host}:{endpoint.port}\r\n"
            "User-Agent: trimtab-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode())
        status_line = await reader.readline()
        # Closing with unread bytes would reset the connection, and servers log that.
        with suppress(ConnectionError):
            await reader.read(_MOST_BYTES)
    except ValueError:  # a line longer than the reader's limit
        return "an answer that is not HTTP"
    finally:
        writer.close()
    return _judge(status_line)


def _judge(status_line: bytes) -> str:
    if not status_line:
        return "a connection that was closed without an answer"
    version, _, rest = status_line.partition(b" ")
    status = rest[:3].decode("ascii", "replace")
    if not version.startswith(b"HTTP/") or not status.isdigit():
        return "an answer that is not HTTP"
    return "" if status[0] in "23" else f"HTTP {status}"
