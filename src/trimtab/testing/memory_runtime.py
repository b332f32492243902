"""The port `Runtime` in memory: instances become ready after a while, or as the test says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from trimtab.core.errors import Problem, TrimtabError, stale_fence
from trimtab.core.model.identity import ArmId, EnvironmentId, short
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Endpoint, Instance
from trimtab.ports.clock import Clock
from trimtab.ports.runtime import NO_VARIABLES


class MemoryRuntime:
    """Instances that only exist on paper.

    They are ready `ready_after_s` (of the clock's time) after their start; None: when `set_phase` says so. While
    `refusal` is set, `ensure` raises it.
    """

    def __init__(self, clock: Clock, ready_after_s: float | None = 0.0) -> None:
        self.refusal: Problem | None = None
        self._clock = clock
        self._ready_after_s = ready_after_s
        self._instances: dict[str, tuple[EnvironmentId, Instance]] = {}
        self._fences: dict[EnvironmentId, int] = {}
        self._numbers = itertools.count(1)
        self._callbacks: list[Callable[[EnvironmentId], None]] = []

    def set_phase(self, environment: EnvironmentId, arm: ArmId, phase: str, problem: Problem | None = None) -> None:
        """All instances of the arm are seen in this phase from now on."""
        for key, (place, instance) in self._instances.items():
            if place == environment and instance.release == arm:
                self._instances[key] = (place, replace(instance, phase=phase, problem=problem))
        self._tell(environment)

    async def ensure(
        self,
        environment: EnvironmentId,
        arm: ArmId,
        specification: Specification,
        root: Path,
        replicas: int,
        env: Mapping[str, str] = NO_VARIABLES,
        *,
        fence: int = 0,
    ) -> None:
        del specification, root, env  # nothing is really run
        self._check_fence(environment, fence)
        if self.refusal is not None:
            raise TrimtabError(self.refusal)
        for number in range(1, replicas + 1):
            name = f"instance/{environment}/{short(arm)}/{number}"
            if name not in self._instances:
                self._instances[name] = (environment, self._start(name, arm))

    async def instances(self, environment: EnvironmentId, arm: ArmId | None = None) -> tuple[Instance, ...]:
        self._let_time_pass()
        found = [
            instance
            for place, instance in self._instances.values()
            if place == environment and arm in (None, instance.release)
        ]
        return tuple(sorted(found, key=lambda instance: (instance.release, len(instance.id), instance.id)))

    async def stop(self, environment: EnvironmentId, arm: ArmId, keep: int = 0, *, fence: int = 0) -> None:
        self._check_fence(environment, fence)
        for instance in (await self.instances(environment, arm))[keep:]:
            del self._instances[instance.id]
        self._tell(environment)

    async def remove(self, environment: EnvironmentId, *, fence: int = 0) -> None:
        for arm in {instance.release for instance in await self.instances(environment)}:
            await self.stop(environment, arm, fence=fence)
        self._check_fence(environment, fence)

    def on_change(self, callback: Callable[[EnvironmentId], None]) -> None:
        self._callbacks.append(callback)

    def _check_fence(self, environment: EnvironmentId, fence: int) -> None:
        held = self._fences.get(environment, 0)
        if 0 < fence < held:
            raise stale_fence(f"instances, {environment}", held, fence)
        self._fences[environment] = max(held, fence)

    def _start(self, name: str, arm: ArmId) -> Instance:
        number = next(self._numbers)
        return Instance(
            id=name,
            release=arm,
            endpoint=Endpoint("127.0.0.1", 40000 + number),
            phase="starting",
            started_at=self._clock.now(),
            pid=1000 + number,
            log=name,
        )

    def _let_time_pass(self) -> None:
        if self._ready_after_s is None:
            return
        for key, (place, instance) in self._instances.items():
            if instance.phase == "starting" and self._clock.now() >= instance.started_at + self._ready_after_s:
                self._instances[key] = (place, replace(instance, phase="ready"))

    def _tell(self, environment: EnvironmentId) -> None:
        for callback in self._callbacks:
            callback(environment)
