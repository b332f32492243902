"""Watching over the instances of one arm, or of several that share them: ask whether they are ready, start again
those that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.adapters.processes.free_port import LOOPBACK
from trimtab.adapters.processes.instance_set import InstanceSet
from trimtab.adapters.processes.output import last_line_of
from trimtab.adapters.processes.probe import probe
from trimtab.adapters.processes.readiness import Check, Sight, judge
from trimtab.core.errors import TrimtabError
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.traffic import Endpoint, Instance
from trimtab.ports.clock import Clock
from trimtab.ports.processes import Processes, ProcessStatus

_WHILE_STARTING_S = 0.05
_WHEN_STARTED_S = 2.0


@dataclass(slots=True)
class _Known:
    """One instance as last seen, and when to look at it next."""

    sight: Sight = field(default_factory=Sight)
    look_at: float = 0.0
    revive_at: float = 0.0


class InstanceWatch:
    """What is known of one set of instances, kept up to date by a task from `begin` to `end`."""

    def __init__(
        self, instances: InstanceSet, processes: Processes, clock: Clock, changed: Callable[[EnvironmentId], None]
    ) -> None:
        self.instances = instances
        self._processes = processes
        self._clock = clock
        self._changed = changed
        self._known: dict[int, _Known] = {}
        self._woken = asyncio.Event()
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start_missing(self) -> None:
        """Start every instance that does not run. Raises `TrimtabError` when one cannot be started at all."""
        for number in self._numbers():
            if number not in self._numbers():
                break  # another arm that needed so many has left meanwhile
            status = await self._start(number)
            if status.phase == "exited" and status.problem is not None:
                raise TrimtabError(status.problem)

    def begin(self) -> None:
        """Keep watching. Idempotent."""
        self.wake()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def wake(self) -> None:
        """Something happened to an instance: look at all of them now."""
        self._woken.set()

    def look(self, statuses: Mapping[str, ProcessStatus]) -> Iterator[Instance]:
        """The instances as last seen, with readings of their processes taken now: for each arm those that it uses."""
        for arm, replicas in self.instances.used_by.items():
            for number in self._numbers()[:replicas]:
                yield self._instance(arm, number, statuses.get(self._name(number)))

    async def check(self) -> None:
        """Look at every instance."""
        await self._check_all(self._numbers())

    async def _check_all(self, due: Sequence[int]) -> None:
        statuses = {status.name: status for status in await self._processes.list(self.instances.process_prefix)}
        before = [self._of(number).sight.phase for number in due]
        await asyncio.gather(*(self._check(number, statuses.get(self._name(number))) for number in due))
        if before != [self._of(number).sight.phase for number in due]:
            self._changed(self.instances.environment_id)

    async def _run(self) -> None:
        while True:
            now, woken = self._clock.now(), self._woken.is_set()
            self._woken.clear()
            try:
                await self._check_all([n for n in self._numbers() if woken or self._of(n).look_at <= now])
            except (OSError, TrimtabError):
                # A full disk or a supervisor that cannot start now: what is known stands, and we look again.
                await self._clock.sleep(_WHEN_STARTED_S)
            await self._pause()

    async def _pause(self) -> None:
        """Until an instance is due or something happened."""
        next_look_at = min((self._of(number).look_at for number in self._numbers()), default=float("inf"))
        delay_s = min(max(0.0, next_look_at - self._clock.now()), _WHEN_STARTED_S)
        waits = [asyncio.ensure_future(self._clock.sleep(delay_s)), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _check(self, number: int, status: ProcessStatus | None) -> None:
        known, now = self._of(number), self._clock.now()
        if number not in self._numbers():
            return  # it is not wanted any more
        if _is_gone(status) and now >= known.revive_at:
            # Should it vanish at once again, the next try waits.
            known.sight, known.revive_at = Sight(), now + _WHEN_STARTED_S
            status = await self._start(number)
        if status is None:
            known.look_at = known.revive_at
            return
        check = await self._ask(number) if status.phase == "running" else None
        known.sight = judge(known.sight, status, check, self._clock.now(), self.instances.health_timeout_s)
        pause_s = _WHILE_STARTING_S if known.sight.phase == "starting" else _WHEN_STARTED_S
        known.look_at = self._clock.now() + pause_s

    async def _ask(self, number: int) -> Check:
        endpoint, path = self._endpoint(number), self.instances.health_path
        wrong = await probe(endpoint, path)
        address = f"{endpoint.host}:{endpoint.port}"
        asked = f"a connection to {address}" if path is None else f"GET http://{address}{path}"
        return Check(asked, wrong, _last_line(self._processes.log_path(self._name(number))) if wrong else "")

    async def _start(self, number: int) -> ProcessStatus:
        """The running instance, started (again) if need be."""
        spec = self.instances.process_spec(number)
        self.instances.temporary_folder.mkdir(parents=True, exist_ok=True)
        async with self._starting:
            status = await self._processes.start(spec)
            if status.phase in ("exited", "lost"):
                await self._processes.forget(spec.name)
                status = await self._processes.start(spec)
        return status

    def _instance(self, arm: ArmId, number: int, status: ProcessStatus | None) -> Instance:
        sight = self._of(number).sight
        return Instance(
            id=self.instances.process_of(arm, number),
            release=arm,
            endpoint=self._endpoint(number),
            phase=sight.phase,
            started_at=status.started_at if status else 0.0,
            restarts=status.restarts if status else 0,
            pid=status.pid if status else None,
            cpu_s=status.cpu_s if status else 0.0,
            rss_bytes=status.rss_bytes if status else 0,
            log=self._name(number),
            problem=sight.problem,
        )

    def _of(self, number: int) -> _Known:
        return self._known.setdefault(number, _Known())

    def _numbers(self) -> range:
        return range(1, len(self.instances.ports) + 1)

    def _name(self, number: int) -> str:
        return self.instances.process_name(number)

    def _endpoint(self, number: int) -> Endpoint:
        return Endpoint(LOOPBACK, self.instances.ports[number - 1])


def _is_gone(status: ProcessStatus | None) -> bool:
    """Ended in a way that an instance never ends by itself: nobody looks after it any more."""
    return status is None or status.phase == "lost" or (status.phase == "exited" and status.stopped)


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            return last_line_of(file.read())
    except OSError:
        return ""
