"""Counts of what each arm did, from Envoy's access log."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.envoy import access_log
from trimtab.adapters.envoy.log_file import LogFile
from trimtab.adapters.envoy.users import ArmUsers, Users
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.specification import LatencyMeasure
from trimtab.core.model.traffic import ARRIVAL_SLOT_S, ArmCounts
from trimtab.core.stats.histogram import GROWTH, Histogram

WINDOW_S = 300
"""`ArmCounts.recent` covers the running window and the one before."""
_ARRIVALS_S = 600

_PER_LOG_GROWTH = 1.0 / math.log(GROWTH)
_BROKEN_OFF = frozenset((b"UC", b"UR", b"UPE"))
"""Envoy's flags for an upstream that closed the connection, reset the stream, or stopped speaking HTTP."""
_ALL, _SHARED, _MIRROR = (name.encode() for name in (access_log.ALL, access_log.SHARED, access_log.MIRROR))
_COUNTED = frozenset((_ALL, _SHARED, _MIRROR))
"""How requests came to the arm that are compared: others chose it, or take no part."""


class _Arm:
    """One arm in one environment. Durations are counted once, in their window; old windows are folded away."""

    __slots__ = ("arrivals", "errors", "folded", "measure", "users", "window", "windows")

    def __init__(self, measure: LatencyMeasure) -> None:
        self.measure = measure
        self.errors = 0
        self.window = -1
        self.windows: dict[int, dict[int, int]] = {}
        self.folded: dict[int, int] = {}
        self.arrivals: dict[int, int] = {}
        self.users = ArmUsers()

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

    def arrive(self, at: int) -> None:
        slot = at // ARRIVAL_SLOT_S
        if slot not in self.arrivals:
            oldest = slot - _ARRIVALS_S // ARRIVAL_SLOT_S
            self.arrivals = {number: count for number, count in self.arrivals.items() if number >= oldest}
        self.arrivals[slot] = self.arrivals.get(slot, 0) + 1

    def counts(self, epoch: str, now: float) -> ArmCounts:
        self.enter(int(now) // WINDOW_S)
        recent = Histogram()
        for histogram in self.windows.values():
            recent = recent.plus(Histogram(histogram))
        latency = recent.plus(Histogram(self.folded))
        return ArmCounts(
            epoch, latency.total, self.errors, latency, recent, self.users.counts(), dict(sorted(self.arrivals.items()))
        )


@dataclass(slots=True)
class _Watched:
    environment: EnvironmentId
    name: ArmId
    arm: _Arm


class Meter:
    """Follows the access log and counts. Starts at its end: `epoch` names the counts since then."""

    def __init__(self, log: Path, epoch: str, reopen: Callable[[], Awaitable[None]]) -> None:
        """`reopen` makes Envoy open the file anew after it was renamed."""
        self._epoch = epoch
        self._watched: dict[bytes, _Watched] = {}
        self._users: dict[EnvironmentId, tuple[ArmId, Users]] = {}
        self._log = LogFile(log, self._count, reopen)

    def watch(self, cluster: str, environment: EnvironmentId, arm: ArmId, measure: LatencyMeasure) -> None:
        """Count requests to the cluster for the arm. Idempotent; what was counted stays."""
        known = self._watched.get(cluster.encode())
        if known is None:
            self._watched[cluster.encode()] = _Watched(environment, arm, _Arm(measure))
        else:
            known.arm.measure = measure

    def watch_users(self, environment: EnvironmentId, candidate: ArmId | None) -> None:
        """Count users as well while there is a candidate; with each candidate they begin anew."""
        if candidate is None:
            self._users.pop(environment, None)
        elif self._users.get(environment, ("",))[0] != candidate:
            self._users[environment] = (candidate, Users())

    def forget(self, cluster: str) -> None:
        self._watched.pop(cluster.encode(), None)

    def counts(self, environment: EnvironmentId, now: float) -> Mapping[ArmId, ArmCounts]:
        """What was counted up to the last `catch_up`, for every arm that got requests."""
        every = (
            (watched.name, watched.arm.counts(self._epoch, now))
            for watched in self._watched.values()
            if watched.environment == environment
        )
        return {name: counts for name, counts in every if counts.requests}

    async def catch_up(self) -> None:
        """Count everything that is in the log by now."""
        await self._log.catch_up()

    def close(self) -> None:
        self._log.close()

    def _count(self, lines: list[bytes]) -> None:
        """The hot loop: one split, two dictionary look-ups and two additions for each line."""
        watched, log, scale = self._watched, math.log, _PER_LOG_GROWTH
        last = access_log.ACCESS_COLUMNS - 1
        for line in lines:
            columns = line.split(b"\t", last)
            if len(columns) <= last:
                continue
            at, began, route, cluster, code, flags, total_us, first_byte_us, total_ms, _host, user = columns
            known = watched.get(cluster)
            if known is None or route not in _COUNTED:
                continue
            arm = known.arm
            # How long a WebSocket stays open says nothing of latency; how long it took to open does.
            duration = first_byte_us if arm.measure == "first_byte" or code == b"101" else total_us
            try:
                second, status = int(at), int(code)
                # A request that was broken off has no last byte, maybe no first one: it took as long as it lived.
                duration_us = int(duration) if duration != b"-" else int(total_ms) * 1000
                bucket = int(log(duration_us) * scale) if duration_us > 1 else 0
                arrived = int(began)
            except ValueError:
                continue
            window = second // WINDOW_S
            histogram = arm.windows[window] if window == arm.window else arm.enter(window)
            histogram[bucket] = histogram.get(bucket, 0) + 1
            failed = status >= 500 or (flags != b"-" and _is_failure(status, flags))
            if failed:
                arm.errors += 1
            if route != _ALL:
                self._take_part(known, user, second, arrived, bucket, failed=failed, is_copy=route == _MIRROR)

    def _take_part(
        self, known: _Watched, user: bytes, second: int, arrived: int, bucket: int, *, failed: bool, is_copy: bool
    ) -> None:
        """Of a request that was shared out: whose it was, and when it came."""
        users = self._users.get(known.environment)
        is_new = users is None or users[1].see(known.arm.users, user, second, bucket, failed=failed, is_copy=is_copy)
        if is_new and not is_copy:
            known.arm.arrive(arrived)


def _is_failure(status: int, flags: bytes) -> bool:
    """Whether a request without a 5xx failed: no answer, or one that the instance broke off; not a client that left."""
    kinds = flags.split(b",")
    if b"DC" in kinds:
        return False
    return status == 0 or not _BROKEN_OFF.isdisjoint(kinds)
