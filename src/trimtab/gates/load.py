"""Making load, and counting truthfully what came of it.

With a rate, each request has a moment at which it is due, whatever became of those before, and its latency counts from
that moment. A service that stands still for a second is so seen by all requests that were due in that second, and not
only by the one that happened to be under way (Gil Tene's "coordinated omission").
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

_MOST_AT_ONCE = 2000
"""Connections. What is due while so many are under way waits, and its latency goes on counting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate_per_s`, or so many `at_once`, each of which asks anew as soon as it was answered."""

    duration_s: float
    rate_per_s: float | None = None
    at_once: int = 1
    warm_up_s: float = 0.0
    timeout_s: float = 10.0
    paths: tuple[str, ...] = ("/",)


@dataclass(slots=True)
class Counted:
    """What is counted after the warm-up. Latencies of all requests, failed ones too."""

    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    began: float = math.inf
    ended: float = 0.0
    late_ms: list[float] = field(default_factory=list)
    """How late each request was sent, with a rate."""

    @property
    def requests(self) -> int:
        return len(self.latencies_ms)

    @property
    def throughput_per_s(self) -> float:
        took_s = self.ended - self.began
        return (self.requests - self.errors) / took_s if self.requests and took_s > 0 else 0.0

    def percentile_ms(self, quantile: float) -> float:
        return percentile(sorted(self.latencies_ms), quantile)


def percentile(ordered: Sequence[float], quantile: float) -> float:
    """The smallest value that so large a share of them does not exceed (nearest rank); 0 where there is none."""
    return ordered[max(0, math.ceil(quantile * len(ordered)) - 1)] if ordered else 0.0


async def load(url: str, plan: Plan) -> Counted:
    """Send what the plan says, and wait for all answers."""
    limits = httpx.Limits(max_connections=_MOST_AT_ONCE, max_keepalive_connections=_MOST_AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=plan.timeout_s, limits=limits, trust_env=False) as client:
        sender = _Sender(client, plan, time.monotonic())
        await (sender.by_rate(plan.rate_per_s) if plan.rate_per_s else sender.by_number())
        return sender.counted


@dataclass(slots=True)
class _Sender:
    client: httpx.AsyncClient
    plan: Plan
    start: float
    counted: Counted = field(default_factory=Counted)
    number: int = 0

    async def by_rate(self, rate_per_s: float) -> None:
        total = max(1, round((self.plan.warm_up_s + self.plan.duration_s) * rate_per_s))
        async with asyncio.TaskGroup() as tasks:
            for number in range(total):
                due = self.start + number / rate_per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.create_task(self.send(due))

    async def by_number(self) -> None:
        end = self.start + self.plan.warm_up_s + self.plan.duration_s

        async def ask_on() -> None:
            while (now := time.monotonic()) < end:
                await self.send(now)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.plan.at_once):
                tasks.create_task(ask_on())

    async def send(self, due: float) -> None:
        path = self.plan.paths[self.number % len(self.plan.paths)]
        self.number += 1
        sent = time.monotonic()
        try:
            answer = await self.client.get(path)
            error = "" if answer.status_code < 400 else f"status {answer.status_code} on {path}"
        except httpx.HTTPError as failed:
            error = f"no answer on {path} ({type(failed).__name__})"
        self._count(due, sent, time.monotonic(), error)

    def _count(self, due: float, sent: float, ended: float, error: str) -> None:
        if due < self.start + self.plan.warm_up_s:
            return
        counted = self.counted
        counted.latencies_ms.append((ended - due) * 1000)
        counted.late_ms.append((sent - due) * 1000)
        counted.began, counted.ended = min(counted.began, due), max(counted.ended, ended)
        if error:
            counted.errors += 1
            counted.first_error = counted.first_error or error
