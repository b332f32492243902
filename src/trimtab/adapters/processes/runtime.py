"""The port `Runtime`: instances as supervised processes on this machine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from trimtab.adapters.processes.free_port import free_port
from trimtab.adapters.processes.instance_set import (
    PROCESS_PREFIX,
    InstanceBook,
    InstanceSet,
    Use,
    free_name,
    plan,
    processes_of,
)
from trimtab.adapters.processes.instance_watch import InstanceWatch
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, short
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
    write to and that outlives releases. One task for each set of instances asks them whether they are ready, and
    starts those again whose supervisor is gone. Which set an arm uses is decided and written down between two awaits:
    so nobody ends what somebody has just come to. Use it from one event loop, and `close` it at the end; the instances
    go on.
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
        self._turns: dict[str, asyncio.Lock] = {}
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
        program: Digest = "",
        fence: int = 0,
    ) -> None:
        await self._adopt()
        self._book.check_fence(environment, fence)
        planned = plan(environment, arm, specification, root, self._state_folder(environment), env, program)
        watch = self._using(environment, arm) or self._running(environment, program)
        is_new = watch is None
        watch = watch or self._begin(planned)
        watch.instances = self._with_room(watch.instances, planned, replicas)
        # Before any process: whatever happens next, it is known what should run.
        self._book.write(watch.instances)
        key = watch.instances.process_prefix
        async with self._turn(key):
            if self._watches.get(key) is not watch:
                return  # the whole environment was removed meanwhile
            try:
                if is_new:
                    await self._forget_processes(key)
                await watch.start_missing()
            finally:
                watch.begin()

    async def instances(self, environment: EnvironmentId, arm: ArmId | None = None) -> tuple[Instance, ...]:
        await self._adopt()
        wanted = self._of(environment)
        statuses = {status.name: status for status in await self._processes.list(f"{PROCESS_PREFIX}{environment}/")}
        found = [each for watch in wanted for each in watch.look(statuses) if arm in (None, each.release)]
        return tuple(sorted(found, key=lambda instance: (instance.release, len(instance.id), instance.id)))

    async def stop(self, environment: EnvironmentId, arm: ArmId, keep: int = 0, *, fence: int = 0) -> None:
        await self._adopt()
        self._book.check_fence(environment, fence)
        watch = self._using(environment, arm)
        if watch is None:
            await self._end_again(environment, arm)
        elif keep > 0 or len(watch.instances.used_by) > 1:
            await self._keep_some(watch, arm, keep)
        else:
            await self._end(watch)
        await self._forget_old(environment)

    async def remove(self, environment: EnvironmentId, *, fence: int = 0) -> None:
        await self._adopt()
        self._book.check_fence(environment, fence)
        for arm in [arm for watch in self._of(environment) for arm in watch.instances.used_by]:
            await self.stop(environment, arm, fence=fence)
        for stopped in [known for known in self._stopped.values() if known.environment_id == environment]:
            await self._forget(stopped)
        await asyncio.to_thread(shutil.rmtree, self._state_folder(environment), ignore_errors=True)

    async def _keep_some(self, watch: InstanceWatch, arm: ArmId, keep: int) -> None:
        """The arm uses no more than the first `keep`; what no arm uses ends."""
        before = watch.instances
        if keep < before.used_by[arm]:
            left = _with_fewer(before, arm, keep)
            watch.instances = replace(left, ports=before.ports[: left.needed])
            # Before its processes end: a controller that dies here must not start them again.
            self._book.write(watch.instances)
        await self._end_surplus(before.process_prefix, len(watch.instances.ports))
        self._changed(before.environment_id)

    async def _end_surplus(self, key: str, wanted: int) -> None:
        """End the processes after the first so many. Whoever wants more meanwhile starts them when this is over."""
        async with self._turn(key):
            known = [status.name for status in await self._processes.list(key)]
            names = [name for name in known if int(name.rpartition("/")[2]) > wanted]
            await asyncio.gather(*(self._processes.stop(name) for name in names))
            for name in names:
                await self._processes.forget(name)

    async def _end(self, watch: InstanceWatch) -> None:
        """Nobody uses them any more."""
        key = watch.instances.process_prefix
        del self._watches[key]
        self._stopped[key] = replace(watch.instances, stopped_at=self._clock.now())
        # Before its processes end: a controller that dies here must not start them again.
        self._book.write(self._stopped[key])
        await watch.end()
        await self._end_processes(key)

    async def _end_again(self, environment: EnvironmentId, arm: ArmId) -> None:
        """Whoever ended the arm's instances may have died while at it."""
        ended = [known for known in self._stopped.values() if known.environment_id == environment]
        keys = {known.process_prefix for known in ended if arm in known.used_by}
        for key in sorted(keys | {processes_of(environment, short(arm))}):
            if key in self._watches:
                await self._end_surplus(key, len(self._watches[key].instances.ports))
            else:
                await self._end_processes(key)

    async def _end_processes(self, key: str) -> None:
        async with self._turn(key):
            if key in self._watches:
                return  # begun again meanwhile
            names = [status.name for status in await self._processes.list(key)]
            await asyncio.gather(*(self._processes.stop(name) for name in names))

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

    def _using(self, environment: EnvironmentId, arm: ArmId) -> InstanceWatch | None:
        """What the arm runs in."""
        return next((watch for watch in self._of(environment) if arm in watch.instances.used_by), None)

    def _running(self, environment: EnvironmentId, program: Digest) -> InstanceWatch | None:
        """What runs the program, for whatever arm."""
        return next((watch for watch in self._of(environment) if program and watch.instances.program == program), None)

    def _of(self, environment: EnvironmentId) -> list[InstanceWatch]:
        return [watch for watch in self._watches.values() if watch.instances.environment_id == environment]

    def _begin(self, planned: InstanceSet) -> InstanceWatch:
        """A set of its own, in the place of one that was ended under its name."""
        name = free_name(planned.environment_id, planned.arm, self._watches)
        watch = self._watch(replace(planned, name=name))
        self._stopped.pop(watch.instances.process_prefix, None)
        return watch

    def _with_room(self, instances: InstanceSet, planned: InstanceSet, replicas: int) -> InstanceSet:
        """With the planned arm among those who use it, and a port for each instance."""
        if instances.program:
            instances = instances.with_use(Use(planned.arm, replicas, planned.root, planned.env))
        ports = list(instances.ports)
        while len(ports) < replicas:
            ports.append(free_port({*self._ports(), *ports}))
        return replace(instances, ports=tuple(ports))

    def _turn(self, key: str) -> asyncio.Lock:
        """Starting and ending processes of the same names take turns."""
        return self._turns.setdefault(key, asyncio.Lock())

    def _watch(self, instances: InstanceSet) -> InstanceWatch:
        watch = InstanceWatch(instances, self._processes, self._clock, self._changed)
        self._watches[instances.process_prefix] = watch
        return watch

    def _state_folder(self, environment: EnvironmentId) -> Path:
        return self._home / "state" / environment.app / environment.name

    def _ports(self) -> set[int]:
        return {port for watch in self._watches.values() for port in watch.instances.ports}

    async def _forget(self, stopped: InstanceSet) -> None:
        """Forget what was stopped, and its logs."""
        key = stopped.process_prefix
        if self._stopped.get(key) is not stopped:
            return  # forgotten already, or begun again
        del self._stopped[key]
        self._book.remove(stopped)
        async with self._turn(key):
            if key not in self._watches:
                await self._forget_processes(key)
        if key not in self._watches:
            self._turns.pop(key, None)

    async def _forget_processes(self, key: str) -> None:
        for status in await self._processes.list(key):
            await self._processes.stop(status.name)
            await self._processes.forget(status.name)

    async def _forget_old(self, environment: EnvironmentId) -> None:
        stopped = [instances for instances in self._stopped.values() if instances.environment_id == environment]
        stopped.sort(key=lambda instances: instances.stopped_at or 0.0)
        for instances in stopped[:-_KEPT_ARMS]:
            await self._forget(instances)

    def _process_changed(self, name: str) -> None:
        watch = self._watches.get(name.rpartition("/")[0] + "/")
        if watch is not None:
            watch.wake()

    def _changed(self, environment: EnvironmentId) -> None:
        for callback in self._callbacks:
            callback(environment)


def _with_fewer(instances: InstanceSet, arm: ArmId, keep: int) -> InstanceSet:
    """As it is once the arm uses no more than the first `keep`."""
    if not instances.program:
        return replace(instances, ports=instances.ports[:keep])
    if keep == 0:
        return instances.without_use(arm)
    return replace(instances, uses=tuple(replace(u, replicas=keep) if u.arm == arm else u for u in instances.uses))
