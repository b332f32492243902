"""Counts of what each release did, from Envoy's access log."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from trimtab.core.errors import TrimtabError
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.core.model.specification import LatencyMeasure
from trimtab.core.model.traffic import ArmCounts
from trimtab.core.stats.histogram import GROWTH, Histogram

WINDOW_S = 300
"""`ArmCounts.recent` covers the running window and the one before."""

_SLICE_BYTES = 64 * 1024
_ROTATE_BYTES = 32 * 1024 * 1024
_PER_LOG_GROWTH = 1.0 / math.log(GROWTH)
_COLUMNS = 8
_BROKEN_OFF = frozenset((b"UC", b"UR", b"UPE"))
"""Envoy's flags for an upstream that closed the connection, reset the stream, or stopped speaking HTTP."""


class _Arm:
    """One release in one environment. Durations are counted once, in their window; old windows are folded away."""

    __slots__ = ("errors", "folded", "measure", "window", "windows")

    def __init__(self, measure: LatencyMeasure) -> None:
        self.measure = measure
        self.errors = 0
        self.window = -1
        self.windows: dict[int, dict[int, int]] = {}
        self.folded: dict[int, int] = {}

    def enter(self, window: int) -> dict[int, int]:
        """The histogram for a line of this window; fold away what is then no longer recent."""
        if window > self.window:
            self.window = window
            for old in [number for number in self.windows if number < window - 1]:
                for bucket, count in self.windows.pop(old).items():
                    self.folded[bucket] = self.folded.get(bucket, 0) + count
        elif window < self.window - 1:
            return self.folded
        return self.windows.setdefault(window, {})

    def counts(self, epoch: str, now: float) -> ArmCounts:
        self.enter(int(now) // WINDOW_S)
        recent = Histogram()
        for histogram in self.windows.values():
            recent = recent.plus(Histogram(histogram))
        latency = recent.plus(Histogram(self.folded))
        return ArmCounts(epoch, latency.total, self.errors, latency, recent)


class Meter:
    """Follows the access log and counts. Starts at its end: `epoch` names the counts since then."""

    def __init__(self, log: Path, epoch: str, reopen: Callable[[], Awaitable[None]]) -> None:
        """`reopen` makes Envoy open the file anew after it was renamed."""
        self._log = log
        self._epoch = epoch
        self._reopen = reopen
        self._arms: dict[bytes, tuple[EnvironmentId, Digest, _Arm]] = {}
        self._file: BinaryIO | None = None
        self._rest = b""
        self._lock = asyncio.Lock()
        self._open(at_end=True)

    def watch(self, cluster: str, environment: EnvironmentId, release: Digest, measure: LatencyMeasure) -> None:
        """Count requests to the cluster for the release. Idempotent; what was counted stays."""
        known = self._arms.get(cluster.encode())
        if known is None:
            self._arms[cluster.encode()] = (environment, release, _Arm(measure))
        else:
            known[2].measure = measure

    def forget(self, cluster: str) -> None:
        self._arms.pop(cluster.encode(), None)

    def counts(self, environment: EnvironmentId, now: float) -> Mapping[Digest, ArmCounts]:
        """What was counted up to the last `catch_up`, for every release that got requests."""
        every = (
            (release, arm.counts(self._epoch, now))
            for owner, release, arm in self._arms.values()
            if owner == environment
        )
        return {release: counts for release, counts in every if counts.requests}

    async def catch_up(self) -> None:
        """Count everything that is in the log by now, in slices short enough to let others run; rotate a big log."""
        async with self._lock:
            await self._read_to_end()
            if self._was_replaced():
                # Envoy writes to the new file only after its last line to the old one.
                await self._read_to_end()
                self._open(at_end=False)
                await self._read_to_end()
            if self._file is not None and self._file.tell() > _ROTATE_BYTES:
                await self._rotate()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, *, at_end: bool) -> None:
        self.close()
        self._rest = b""
        with suppress(FileNotFoundError):
            self._file = self._log.open("rb")
            if at_end and self._file.seek(0, os.SEEK_END):
                self._file.seek(-1, os.SEEK_END)
                # In the middle of a line: a mark that cannot be read as a time, so the rest of it is not counted.
                self._rest = b"" if self._file.read(1) == b"\n" else b"?"

    def _was_replaced(self) -> bool:
        try:
            current = self._log.stat()
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(current, os.fstat(self._file.fileno()))

    async def _read_to_end(self) -> None:
        while self._file is not None and (chunk := self._file.read(_SLICE_BYTES)):
            lines = (self._rest + chunk).split(b"\n")
            self._rest = lines.pop()
            self._count(lines)
            await asyncio.sleep(0)

    async def _rotate(self) -> None:
        """One old file is kept. When Envoy does not hear of it, it goes on writing to the renamed file, and so does
        the meter go on reading it: the next time is early enough."""
        if self._log.exists():
            self._log.replace(self._log.with_name(f"{self._log.name}.1"))
        with suppress(TrimtabError):
            await self._reopen()

    def _count(self, lines: list[bytes]) -> None:
        """The hot loop: one split, two dictionary look-ups and one addition for each line."""
        arms, log, scale = self._arms, math.log, _PER_LOG_GROWTH
        for line in lines:
            columns = line.split(b"\t")
            if len(columns) != _COLUMNS:
                continue
            at, cluster, code, flags, total_us, first_byte_us, total_ms, _host = columns
            known = arms.get(cluster)
            if known is None:
                continue
            arm = known[2]
            # How long a WebSocket stays open says nothing of latency; how long it took to open does.
            duration = first_byte_us if arm.measure == "first_byte" or code == b"101" else total_us
            try:
                window = int(at) // WINDOW_S
                status = int(code)
                # A request that was broken off has no last byte, maybe no first one: it took as long as it lived.
                duration_us = int(duration) if duration != b"-" else int(total_ms) * 1000
                bucket = int(log(duration_us) * scale) if duration_us > 1 else 0
            except ValueError:
                continue
            histogram = arm.windows[window] if window == arm.window else arm.enter(window)
            histogram[bucket] = histogram.get(bucket, 0) + 1
            if status >= 500 or (flags != b"-" and _is_failure(status, flags)):
                arm.errors += 1


def _is_failure(status: int, flags: bytes) -> bool:
    """Whether a request without a 5xx failed: no answer, or one that the instance broke off; not a client that left."""
    kinds = flags.split(b",")
    if b"DC" in kinds:
        return False
    return status == 0 or not _BROKEN_OFF.isdisjoint(kinds)
