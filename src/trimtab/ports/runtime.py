"""Where instances of a release run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from trimtab.core.model.identity import ArmId, Digest, EnvironmentId
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Instance

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Runtime(Protocol):
    """Runs instances of releases. They outlive the controller; a new one finds them again.

    `fence` is that of the deciding controller: an instruction with a lower one than already seen for the environment
    raises `StaleFence` and changes nothing. 0 is nobody's fence and is not looked at.
    """

    async def ensure(
        self,
        environment: EnvironmentId,
        arm: ArmId,
        specification: Specification,
        root: Path,
        replicas: int,
        env: Mapping[str, str] = NO_VARIABLES,
        *,
        program: Digest = "",
        fence: int = 0,
    ) -> None:
        """Start what is missing of `replicas` instances of the arm, whose files are in `root`; `env` on top of the
        specification's variables. Idempotent; does not wait for readiness, stops none. Raises `TrimtabError` when an
        instance cannot be started at all.

        Arms of one environment with the same `program` (not empty) use the same instances: what runs for one of them
        is there for the next, and ends when no arm uses it any more. An arm that has instances keeps them, whatever
        program it is said to be."""
        ...

    async def instances(self, environment: EnvironmentId, arm: ArmId | None = None) -> tuple[Instance, ...]:
        """All instances (of the arm), by arm and number, as last seen. One that several arms use is there once for
        each, under an id of its own."""
        ...

    async def stop(self, environment: EnvironmentId, arm: ArmId, keep: int = 0, *, fence: int = 0) -> None:
        """SIGTERM, wait, SIGKILL; returns when they have ended. Idempotent. `keep`: the first so many go on,
        and no more than those are wanted from now on. What another arm uses goes on, too."""
        ...

    async def remove(self, environment: EnvironmentId, *, fence: int = 0) -> None:
        """Stop all that runs for the environment, and forget its logs and what its instances kept. Idempotent."""
        ...

    def on_change(self, callback: Callable[[EnvironmentId], None]) -> None:
        """Call back when an instance became ready, unhealthy or ended. Only a hint: it may be missed."""
        ...
