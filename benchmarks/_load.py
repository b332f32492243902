"""Requests at a steady rate from a process of their own, each written down: when, what status, which version answered.

``python -m benchmarks._load URL REQUESTS_PER_S FILE`` runs until it is terminated.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """`sent_at`, `at`: seconds since the epoch. `status` 0: no answer."""

    sent_at: float
    at: float
    status: int
    text: str


@contextmanager
def load(url: str, requests_per_s: float) -> Iterator[Log]:
    """Send requests while the block runs; the log can be read during and after it."""
    with NamedTemporaryFile(prefix="trimtab-load-") as file:
        words = [sys.executable, "-m", "benchmarks._load", url, str(requests_per_s), file.name]
        process = subprocess.Popen(words)
        try:
            yield Log(Path(file.name))
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True, slots=True)
class Log:
    path: Path

    def answers(self) -> list[Answer]:
        """Everything so far, in the order of the answers."""
        rows = [line.split("\t") for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [Answer(float(sent), float(at), int(status), text.strip()) for sent, at, status, text in rows]


async def _ask(host: str, port: int, path: str, requests_per_s: float, log: Path) -> None:
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    async def one() -> None:
        sent_at = time.time()
        try:
            reader, writer = idle.pop() if idle else await asyncio.open_connection(host, port)
            writer.write(request)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length"))
            text = (await reader.readexactly(length)).decode()
            status = int(head.split(b" ", 2)[1])
            if b"connection: close" in head.lower():
                writer.close()
            else:
                idle.append((reader, writer))
        except (OSError, EOFError, TimeoutError, StopIteration) as error:
            status, text = 0, type(error).__name__
        out.write(f"{sent_at}\t{time.time()}\t{status}\t{text}\n")
        out.flush()

    with log.open("a") as out:
        at = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            while True:
                requests.create_task(one())
                at += 1.0 / requests_per_s
                await asyncio.sleep(max(0.0, at - time.monotonic()))


if __name__ == "__main__":
    place = urlsplit(sys.argv[1])
    asyncio.run(_ask(place.hostname or "", place.port or 80, place.path or "/", float(sys.argv[2]), Path(sys.argv[3])))
