"""As many requests as a server answers: wrk when it is installed, else a client of our own in a process of its own.

python -m benchmarks._throughput HOST PORT SECONDS     (what the fallback runs; prints requests and failures)
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from dataclasses import dataclass

CONNECTIONS = 32
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_FAILURES = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: connect (\d+), read (\d+), write (\d+)")


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a load generator saw."""

    requests_per_s: float
    failed: int


def generator() -> str:
    """The name of the load generator that will be used."""
    return "wrk" if shutil.which("wrk") else "own"


async def saturate(host: str, port: int, seconds: int) -> Throughput:
    """Requests as fast as the server answers, on CONNECTIONS kept-alive connections."""
    if generator() == "wrk":
        said = await _output("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://{host}:{port}/")
        rate = _RATE.search(said)
        if rate is None:
            raise RuntimeError(f"wrk did not say how fast it was:\n{said}")
        failed = sum(int(count) for match in _FAILURES.finditer(said) for count in match.groups() if count)
        return Throughput(float(rate[1]), failed)
    requests, failed = map(int, (await _output(sys.executable, "-m", __name__, host, str(port), str(seconds))).split())
    return Throughput(requests / seconds, failed)


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()


class _Client(asyncio.Protocol):
    """Sends a request, waits for the whole answer (it must say its length), sends the next one."""

    def __init__(self, request: bytes) -> None:
        self.answered = 0
        self.failed = 0
        self._request = request
        self._missing = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, _, body = data.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._missing = int(length) - len(body)
            self.failed += not head.startswith(b"HTTP/1.1 2")
        else:
            self._missing -= len(data)
        if not self._missing and self._transport is not None:
            self.answered += 1
            self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed += exc is not None


async def _main(host: str, port: int, seconds: float) -> None:
    request = f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(lambda: _Client(request), host, port))[1] for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds)
    print(sum(client.answered for client in clients), sum(client.failed for client in clients))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
