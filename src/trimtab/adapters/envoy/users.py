"""What the users of an environment did during a rollout, each counted with at most one bad event per metric."""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.core.model.traffic import UserCounts
from trimtab.core.stats.histogram import Histogram

MOST_USERS = 100_000
"""More users than this are sampled by a hash of who they are, which has nothing to do with what they do."""

Buckets = dict[int, int]


@dataclass(slots=True)
class ArmUsers:
    """The users of one arm; `UserCounts` says what the histograms mean."""

    exposed: int = 0
    failed: int = 0
    exposed_by_slowest: Buckets = field(default_factory=dict)
    slowest_before: Buckets = field(default_factory=dict)
    slowest_after: Buckets = field(default_factory=dict)

    def counts(self) -> UserCounts:
        return UserCounts(
            self.exposed,
            self.failed,
            Histogram(dict(self.exposed_by_slowest)),
            Histogram(dict(self.slowest_before)),
            Histogram(dict(self.slowest_after)),
        )


@dataclass(slots=True)
class _User:
    second: int = -1
    failed: bool = False
    slowest: int = -1


class Users:
    """Who was seen since the rollout began. A user whose requests are mirrored is one user on either arm: a copy is
    somebody else, since what the stable release made of a request must not hide what the candidate makes of it."""

    def __init__(self) -> None:
        self._known: dict[int, _User] = {}
        self._sampling = 1

    def see(self, arm: ArmUsers, user: bytes, second: int, bucket: int, *, failed: bool, is_copy: bool) -> bool:
        """Count a request that ended; whether its user was new. A request of nobody is a user of its own."""
        if user == b"-":
            self._count(arm, _User(), second, bucket, failed=failed)
            return True
        name = hash((user, is_copy))
        if name % self._sampling:
            return False
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = _User()
            self._count(arm, known, second, bucket, failed=failed)
            if len(self._known) > MOST_USERS:
                self._thin_out()
            return True
        self._count(arm, known, second, bucket, failed=failed)
        return False

    def _count(self, arm: ArmUsers, user: _User, second: int, bucket: int, *, failed: bool) -> None:
        if second != user.second:
            user.second = second
            arm.exposed += not user.failed
            _add(arm.exposed_by_slowest, max(0, user.slowest))
        if failed and not user.failed:
            user.failed = True
            arm.failed += 1
        if bucket > user.slowest:
            if user.slowest >= 0:
                _add(arm.slowest_before, user.slowest)
            _add(arm.slowest_after, bucket)
            user.slowest = bucket

    def _thin_out(self) -> None:
        self._sampling *= 2
        self._known = {name: user for name, user in self._known.items() if name % self._sampling == 0}


def _add(buckets: Buckets, bucket: int) -> None:
    buckets[bucket] = buckets.get(bucket, 0) + 1
