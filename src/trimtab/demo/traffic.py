"""The demo's users: a steady stream of real requests, in a process of its own."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter

import httpx

REFUSED = httpx.ConnectError.__name__
PATIENCE = 1000
"""Users who were refused so often in a row leave: there is nobody to ask any more."""
QUESTIONS = ("how long may I return a parcel", "when does delivery arrive", "is the shop open now", "hello")


async def ask(url: str, requests_per_s: float, until_s: float) -> Counter[str]:
    """Send requests at a steady pace until `until_s` (monotonic seconds); how many were answered how."""
    seen: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(timeout=5.0, limits=limits) as client, asyncio.TaskGroup() as users:
        at = time.monotonic()
        while at < until_s and seen[REFUSED] < PATIENCE:
            users.create_task(_one(client, url, seen))
            at += random.expovariate(requests_per_s)
            await asyncio.sleep(max(0.0, at - time.monotonic()))
    return seen


async def _one(client: httpx.AsyncClient, url: str, seen: Counter[str]) -> None:
    try:
        answer = await client.get(url, params={"q": random.choice(QUESTIONS)})
        seen[str(answer.status_code)] += 1
        seen[REFUSED] = 0
    except httpx.HTTPError as error:
        seen[type(error).__name__] += 1


def main() -> None:
    """``python -m trimtab.demo.traffic URL REQUESTS_PER_S SECONDS``"""
    url, requests_per_s, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    try:
        asyncio.run(ask(url, requests_per_s, time.monotonic() + seconds))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
