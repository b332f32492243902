"""The port `Runtime`: instances as supervised processes on this machine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from trimtab.adapters.processes.free_port import free_port
from trimtab.adapters.processes.instance_set import PROCESS_PREFIX, InstanceBook, InstanceSet, plan, processes_of
from trimtab.adapters.processes.instance_watch import InstanceWatch
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Instance
from trimtab.ports.clock import Clock
from trimtab.ports.processes import Processes
from trimtab.ports.runtime import NO_VARIABLES

_KEPT_ARMS = 3
"""Of how many stopped arms in each environment the logs are kept."""


class ProcessRuntime:
    """Instances of releases, each a supervised process that keeps its port for life.

    Below `home`: ``instances`` (what should run), and for each environment a folder in ``state`` that its instances may
    write to and that outlives releases. One task for each arm asks its instances whether they are ready, and starts
    those again whose supervisor is gone. Use it from one event loop, and `close` it at the end; the instances go on.
    """

    def __init__(self, home: Path, processes: Processes, clock: Clock) -> None:
        self._home = home.resolve()
        self._book = InstanceBook(self._home / "instances")
        self._processes = processes
        self._clock = clock
        self._watches: dict[str, InstanceWatch] = {}
        self._stopped: dict[str, InstanceSet] = {}
        self._adopted = False
        self._adopting = asyncio.Lock()
        self._callbacks: list[Callable[[EnvironmentId], None]] = []
        processes.on_change(self._process_changed)

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
        await self._adopt()
        self._book.check_fence(environment, fence)
        key = processes_of(environment, arm)
        watch = self._watches.get(key)
        if watch is None:
            await self._forget(key)
            watch = self._watch(plan(environment, arm, specification, root, self._state_folder(environment), env))
        missing = replicas - len(watch.instances.ports)
        if missing > 0:
            ports = list(watch.instances.ports)
            for _ in range(missing):
                ports.append(free_port({*self._ports(), *ports}))
            watch.instances = replace(watch.instances, ports=tuple(ports))
        # Before any process: whatever happens next, it is known what should run.
        self._book.write(watch.instances)
        try:
            await watch.start_missing()
        finally:
            watch.begin()

    async def instances(self, environment: EnvironmentId, arm: ArmId | None = None) -> tuple[Instance, ...]:
        await self._adopt()
        wanted = [
            watch
            for watch in self._watches.values()
            if watch.instances.environment_id == environment and arm in (None, watch.instances.arm)
        ]
        statuses = {status.name: status for status in await self._processes.list(f"{PROCESS_PREFIX}{environment}/")}
        found = [instance for watch in wanted for instance in watch.look(statuses)]
        return tuple(sorted(found, key=lambda instance: (instance.release, len(instance.id), instance.id)))

    async def stop(self, environment: EnvironmentId, arm: ArmId, keep: int = 0, *, fence: int = 0) -> None:
        await self._adopt()
        self._book.check_fence(environment, fence)
        key = processes_of(environment, arm)
        if keep > 0:
            await self._stop_all_but(key, keep)
            return
        watch = self._watches.pop(key, None)
        if watch is not None:
            await watch.end()
            # Before its processes end: a controller that dies here must not start them again.
            self._stopped[key] = replace(watch.instances, stopped_at=self._clock.now())
            self._book.write(self._stopped[key])
        names = [status.name for status in await self._processes.list(key)]
        await asyncio.gather(*(self._processes.stop(name) for name in names))
        await self._forget_old(environment)

    async def remove(self, environment: EnvironmentId, *, fence: int = 0) -> None:
        await self._adopt()
        self._book.check_fence(environment, fence)
        for arm in [w.instances.arm for w in self._watches.values() if w.instances.environment_id == environment]:
            await self.stop(environment, arm, fence=fence)
        for stopped in [known for known in self._stopped.values() if known.environment_id == environment]:
            await self._forget(stopped.process_prefix)
        await asyncio.to_thread(shutil.rmtree, self._state_folder(environment), ignore_errors=True)

    async def _stop_all_but(self, key: str, keep: int) -> None:
        watch = self._watches.get(key)
        if watch is None or len(watch.instances.ports) <= keep:
            return
        leaving = [watch.instances.process_name(number + 1) for number in range(keep, len(watch.instances.ports))]
        watch.instances = replace(watch.instances, ports=watch.instances.ports[:keep])
        # Before its processes end: a controller that dies here must not start them again.
        self._book.write(watch.instances)
        await asyncio.gather(*(self._processes.stop(name) for name in leaving))
        for name in leaving:
            await self._processes.forget(name)
        self._changed(watch.instances.environment_id)

    def on_change(self, callback: Callable[[EnvironmentId], None]) -> None:
        self._callbacks.append(callback)

    async def close(self) -> None:
        """Stop watching."""
        for watch in self._watches.values():
            await watch.end()
        self._watches.clear()

    async def _adopt(self) -> None:
        """Once: find what an earlier controller started, and ask each instance before anyone is told about it."""
        async with self._adopting:
            if self._adopted:
                return
            for instances in self._book.read():
                if instances.stopped_at is None:
                    self._watch(instances)
                else:
                    self._stopped[instances.process_prefix] = instances
            await asyncio.gather(*(watch.check() for watch in self._watches.values()))
            for watch in self._watches.values():
                watch.begin()
            self._adopted = True

    def _watch(self, instances: InstanceSet) -> InstanceWatch:
        watch = InstanceWatch(instances, self._processes, self._clock, self._changed)
        self._watches[instances.process_prefix] = watch
        return watch

    def _state_folder(self, environment: EnvironmentId) -> Path:
        return self._home / "state" / environment.app / environment.name

    def _ports(self) -> set[int]:
        return {port for watch in self._watches.values() for port in watch.instances.ports}

    async def _forget(self, key: str) -> None:
        """Forget a stopped arm and its logs."""
        for status in await self._processes.list(key):
            await self._processes.stop(status.name)
            await self._processes.forget(status.name)
        instances = self._stopped.pop(key, None)
        if instances is not None:
            self._book.remove(instances)

    async def _forget_old(self, environment: EnvironmentId) -> None:
        stopped = [instances for instances in self._stopped.values() if instances.environment_id == environment]
        stopped.sort(key=lambda instances: instances.stopped_at or 0.0)
        for instances in stopped[:-_KEPT_ARMS]:
            await self._forget(instances.process_prefix)

    def _process_changed(self, name: str) -> None:
        watch = self._watches.get(name.rpartition("/")[0] + "/")
        if watch is not None:
            watch.wake()

    def _changed(self, environment: EnvironmentId) -> None:
        for callback in self._callbacks:
            callback(environment)
