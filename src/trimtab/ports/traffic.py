"""Who gets which share of the traffic, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.traffic import ArmCounts, Endpoint, PairCounts, Route, Share, TrafficReading

LEASE_TTL_S = 3.0
"""A share that is not renewed for this long is gone: the data plane returns to 100 % stable by itself."""


class Traffic(Protocol):
    """The gateway. `fence` is the deciding object's fence: an instruction with a lower one than already seen for the
    environment raises `StaleFence` and changes nothing. Other errors are `TrimtabError`."""

    async def lead(self, fence: int) -> None:
        """Take over as the one who moves this data plane's traffic: instructions of all earlier ones (with lower
        fences) change nothing from now on. Idempotent. Raises `StaleFence` when someone with a higher fence did."""
        ...

    async def apply(self, route: Route, fence: int) -> None:
        """Route the environment. Returns when the data plane was read back and holds it, without cutting a request;
        raises and leaves the route before it in force when the data plane does not take it (port taken, no answer)."""
        ...

    async def lease(self, environment: EnvironmentId, lease: str, share: Share, fence: int) -> None:
        """Grant a share, for LEASE_TTL_S from now; an empty one takes it away. Does not wait for the data plane."""
        ...

    async def reading(self, environment: EnvironmentId) -> TrafficReading:
        """What the data plane really holds, read back now."""
        ...

    async def active_requests(
        self, environment: EnvironmentId, arm: ArmId, endpoints: Collection[Endpoint] = ()
    ) -> int:
        """How many requests to the arm (to those of its instances, if any are named) are in flight."""
        ...

    async def forget(self, environment: EnvironmentId, arm: ArmId) -> None:
        """Take an arm that no route uses out of the gateway. Idempotent."""
        ...

    async def free_ports(self, host: str, ports: Collection[int]) -> frozenset[int]:
        """Those of the ports on which nobody listens now: no environment, and no other program."""
        ...

    async def remove(self, environment: EnvironmentId) -> None:
        """Stop listening for the environment. Idempotent."""
        ...


class Metrics(Protocol):
    """What the arms did."""

    async def counts(self, environment: EnvironmentId) -> Mapping[ArmId, ArmCounts]:
        """Cumulative counts of every arm that got requests. A new `epoch` means the counts began anew."""
        ...

    async def pairs(self, environment: EnvironmentId) -> PairCounts:
        """What came of comparing mirrored answers."""
        ...
