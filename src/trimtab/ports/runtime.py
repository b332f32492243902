"""Where instances of a release run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Instance


class Runtime(Protocol):
    """Runs instances of releases. They outlive the controller; a new one finds them again."""

    async def ensure(
        self, environment: EnvironmentId, release: Digest, specification: Specification, root: Path, replicas: int
    ) -> None:
        """Start what is missing of `replicas` instances of the release, whose files are in `root`. Idempotent; does not
        wait for readiness. Raises `TrimtabError` when an instance cannot be started at all."""
        ...

    async def instances(self, environment: EnvironmentId, release: Digest | None = None) -> tuple[Instance, ...]:
        """All instances (of the release), sorted by id, as last seen."""
        ...

    async def stop(self, environment: EnvironmentId, release: Digest) -> None:
        """SIGTERM, wait, SIGKILL; returns when they have ended. Idempotent."""
        ...

    def on_change(self, callback: Callable[[EnvironmentId], None]) -> None:
        """Call back when an instance became ready, unhealthy or ended. Only a hint: it may be missed."""
        ...
