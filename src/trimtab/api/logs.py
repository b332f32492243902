"""What processes write: as it is, or the lines of it that match."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from trimtab.api import log_search
from trimtab.api.log_reader import CHUNK_BYTES, LogReader
from trimtab.api.services import Services, Wired
from trimtab.core.errors import Problem, TrimtabError, failure

FOLLOW_POLL_S = 0.2
LONGEST_PATTERN = 1000

Tail = Annotated[int, Query(ge=0)]

routes = APIRouter(prefix="/api/v1", tags=["read"])
"""Logs."""


@routes.get("/logs/{process:path}")
async def logs(
    services: Wired, request: Request, process: str, follow: bool = False, tail: Tail = 0
) -> StreamingResponse:
    """What a step or an instance wrote, by the process's name. `tail`: only the last so many lines (0: all); `follow`:
    also what comes, until the process ends."""
    reader = await _reader(services, process, tail)
    chunks = _chunks(services, request, process, reader, follow)
    return StreamingResponse(chunks, media_type="text/plain; charset=utf-8")


@routes.get("/log-hits/{process:path}")
async def log_hits(
    services: Wired,
    request: Request,
    process: str,
    pattern: Annotated[str, Query(min_length=1, max_length=LONGEST_PATTERN)],
    ignore_case: bool = False,
    follow: bool = False,
    tail: Tail = 0,
) -> StreamingResponse:
    """The lines of a log in which a regular expression (Python's) is found: one JSON object a line, `line` its number
    and `text`. A pattern that takes too much time ends the answer with an object that has a `problem`."""
    reader = await _reader(services, process, tail)
    # Before the first chunk is asked for: it says how many lines are passed over.
    first = await asyncio.to_thread(reader.read, count_lines=True)
    search = await _begin_search(pattern, ignore_case, reader.lines_before + 1)
    chunks = _chunks(services, request, process, reader, follow, first)
    return StreamingResponse(_hits(search, chunks), media_type="application/x-ndjson")


async def _reader(services: Services, process: str, tail: int) -> LogReader:
    if await services.processes.status(process) is None:
        raise failure("not-found", f"there is no log of {process}", "`trimtab status` and `trimtab runs` name them")
    return LogReader(services.processes.log_path(process), tail)


async def _chunks(
    services: Services, request: Request, process: str, reader: LogReader, follow: bool, first: bytes = b""
) -> AsyncIterator[bytes]:
    try:
        if first:
            yield first
        ended = False
        while True:
            if chunk := await asyncio.to_thread(reader.read):
                yield chunk
                continue
            if ended or not follow or await request.is_disconnected():
                return
            status = await services.processes.status(process)
            # Once more after its end: what it wrote last may have come after the look into the log.
            ended = status is None or status.phase not in ("starting", "running", "backing_off")
            if not ended:
                await services.clock.sleep(FOLLOW_POLL_S)
    finally:
        reader.close()


async def _begin_search(pattern: str, ignore_case: bool, first_line: int) -> Process:
    """The process that searches what is written to it. Raises `TrimtabError` when the pattern cannot be used."""
    words = ("-I", "-S", log_search.__file__, pattern, "1" if ignore_case else "0", str(first_line))
    search = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=PIPE, stdout=PIPE)
    assert search.stdout is not None
    said = json.loads(await search.stdout.readline() or "{}")
    if "ready" in said:
        return search
    await search.wait()
    text = Problem("log-pattern-costly", "the search ended before it began", "use a simpler pattern")
    raise TrimtabError(Problem(**said["problem"]) if "problem" in said else text)


async def _hits(search: Process, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    feeding = asyncio.create_task(_feed(search, chunks))
    assert search.stdout is not None
    try:
        while said := await search.stdout.read(CHUNK_BYTES):
            yield said
    finally:
        # Whoever leaves cancels this, and may cancel anything that is awaited here as well.
        feeding.cancel()
        with suppress(ProcessLookupError):
            search.kill()


async def _feed(search: Process, chunks: AsyncIterator[bytes]) -> None:
    assert search.stdin is not None
    async with aclosing(chunks):  # type: ignore[type-var]
        with suppress(ConnectionError):
            async for chunk in chunks:
                search.stdin.write(chunk)
                await search.stdin.drain()
    search.stdin.close()
