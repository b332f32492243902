"""The port `Runtime` in memory: instances become ready after a while, or as the test says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trimtab.core.errors import Problem, TrimtabError, stale_fence
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, short
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Endpoint, Instance
from trimtab.ports.clock import Clock
from trimtab.ports.runtime import NO_VARIABLES


@dataclass(slots=True)
class _Shared:
    """Instances by number, as the first arm that used them calls them, and how many each arm uses now."""

    environment: EnvironmentId
    program: Digest
    instances: dict[int, Instance] = field(default_factory=dict)
    uses: dict[ArmId, int] = field(default_factory=dict)

    def of(self, arm: ArmId) -> list[Instance]:
        """As the arm sees them."""
        numbers = range(1, self.uses.get(arm, 0) + 1)
        return [replace(self.instances[n], id=_name(self.environment, arm, n), release=arm) for n in numbers]


def _name(environment: EnvironmentId, arm: ArmId, number: int) -> str:
    return f"instance/{environment}/{short(arm)}/{number}"


class MemoryRuntime:
    """Instances that only exist on paper.

    They are ready `ready_after_s` (of the clock's time) after their start; None: when `set_phase` says so. While
    `refusal` is set, `ensure` raises it.
    """

    def __init__(self, clock: Clock, ready_after_s: float | None = 0.0) -> None:
        self.refusal: Problem | None = None
        self._clock = clock
        self._ready_after_s = ready_after_s
        self._sets: list[_Shared] = []
        self._fences: dict[EnvironmentId, int] = {}
        self._numbers = itertools.count(1)
        self._callbacks: list[Callable[[EnvironmentId], None]] = []

    def set_phase(self, environment: EnvironmentId, arm: ArmId, phase: str, problem: Problem | None = None) -> None:
        """All instances of the arm are seen in this phase from now on."""
        for each in self._sets:
            if each.environment == environment and arm in each.uses:
                for number in range(1, each.uses[arm] + 1):
                    each.instances[number] = replace(each.instances[number], phase=phase, problem=problem)
        self._tell(environment)

    def everywhere(self) -> list[tuple[EnvironmentId, Instance]]:
        """All instances as last seen, whichever environment they are in."""
        places = dict.fromkeys(each.environment for each in self._sets)
        return [(place, instance) for place in places for instance in self._seen(place)]

    def lose_all(self) -> None:
        """Every instance dies, and is forgotten."""
        self._sets.clear()

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
        del specification, root, env  # nothing is really run
        self._check_fence(environment, fence)
        if self.refusal is not None:
            raise TrimtabError(self.refusal)
        here = [each for each in self._sets if each.environment == environment]
        mine = next((each for each in here if arm in each.uses), None)
        mine = mine or next((each for each in here if program and each.program == program), None)
        if mine is None:
            self._sets.append(mine := _Shared(environment, program))
        mine.uses[arm] = max(replicas, mine.uses.get(arm, 0))
        for number in range(1, replicas + 1):
            if number not in mine.instances:
                mine.instances[number] = self._start(_name(environment, arm, number), arm)

    async def instances(self, environment: EnvironmentId, arm: ArmId | None = None) -> tuple[Instance, ...]:
        self._let_time_pass()
        return tuple(sorted(self._seen(environment, arm), key=lambda found: (found.release, len(found.id), found.id)))

    def _seen(self, environment: EnvironmentId, arm: ArmId | None = None) -> list[Instance]:
        sets = [each for each in self._sets if each.environment == environment]
        return [found for each in sets for name in each.uses if arm in (None, name) for found in each.of(name)]

    async def stop(self, environment: EnvironmentId, arm: ArmId, keep: int = 0, *, fence: int = 0) -> None:
        self._check_fence(environment, fence)
        for each in [each for each in self._sets if each.environment == environment and arm in each.uses]:
            each.uses[arm] = min(keep, each.uses[arm])
            if keep == 0:
                del each.uses[arm]
            for number in range(max(each.uses.values(), default=0) + 1, len(each.instances) + 1):
                del each.instances[number]
            if not each.uses:
                self._sets.remove(each)
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
        begun = self._clock.now() - self._ready_after_s
        self._change(lambda instance: instance.phase == "starting" and instance.started_at <= begun, "ready")

    def _change(self, which: Callable[[Instance], bool], phase: str) -> None:
        for each in self._sets:
            for number, instance in each.instances.items():
                if which(instance):
                    each.instances[number] = replace(instance, phase=phase)

    def _tell(self, environment: EnvironmentId) -> None:
        for callback in self._callbacks:
            callback(environment)
