"""Users of the support-bot: each asks a question, waits for the answer, thinks a little, and asks the next one."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path

import httpx

THINKS_S = 0.2
PATIENCE = 100
"""Users who were refused so often in a row leave."""


async def user(address: str, questions: list[str], until_s: float) -> None:
    """Ask until `until_s` (monotonic seconds), or until there is nobody to ask any more."""
    refused = 0
    async with httpx.AsyncClient(timeout=60.0) as client:
        for question in itertools.cycle(questions):
            if time.monotonic() > until_s or refused > PATIENCE:
                return
            try:
                await client.post(f"{address}/ask", json={"question": question})
                refused = 0
            except httpx.HTTPError:
                refused += 1
            await asyncio.sleep(THINKS_S)


async def ask(address: str, questions: list[str], users: int, until_s: float) -> None:
    async with asyncio.TaskGroup() as all_users:
        for number in range(users):
            first = number * len(questions) // users
            all_users.create_task(user(address, questions[first:] + questions[:first], until_s))


def main() -> None:
    """``python -m trimtab.demo.questions ADDRESS FILE USERS SECONDS``: FILE has the questions as keys of a mapping."""
    address, file, users, seconds = sys.argv[1:]
    try:
        asyncio.run(ask(address, [*json.loads(Path(file).read_text())], int(users), time.monotonic() + float(seconds)))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
