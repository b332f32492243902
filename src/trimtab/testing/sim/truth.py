"""The world that all controllers share: the true store, gateway, runtime, state repository and processes.

They do what the in-memory ports do and tell a witness of it. Nothing here knows about faults of the network; what the
world itself does wrong (instances that die, counts that begin anew, readings that lie) is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.desired import desired_path, parse_desired
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, ObjectId
from trimtab.core.model.release import Manifest
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import ArmCounts, Instance, Route, Share
from trimtab.ports.clock import Clock
from trimtab.ports.processes import ProcessSpec, ProcessStatus
from trimtab.ports.runtime import NO_VARIABLES
from trimtab.ports.store import Claim, OutboxEntry
from trimtab.testing.memory_artifacts import MemoryArtifacts
from trimtab.testing.memory_processes import Ending, MemoryProcesses
from trimtab.testing.memory_runtime import MemoryRuntime
from trimtab.testing.memory_state_repository import KEY_TRAILER, MemoryStateRepository
from trimtab.testing.memory_store import MemoryStore
from trimtab.testing.memory_traffic import MemoryTraffic

_ANY = "sha256:" + "a" * 64


class Witness(Protocol):
    """Who is told of everything that truly happens."""

    def recorded(self, fact: Recorded) -> None: ...

    def claimed(self, claim: Claim) -> None: ...

    def stored(self, what: str, place: ObjectId, fence: int) -> None: ...

    def instructed(self, what: str, environment: EnvironmentId, fence: int) -> None: ...

    def led(self, fence: int) -> None:
        """The gateway was told that the holder of this fence leads it."""
        ...

    def ran(self, what: str, environment: EnvironmentId, fence: int) -> None:
        """The runtime carried out an instruction."""
        ...

    def stopped(self, environment: EnvironmentId, arm: ArmId, keep: int) -> None: ...

    def moved(self, environment: EnvironmentId) -> None:
        """Traffic or instances are not what they were."""
        ...

    def serving(
        self, environment: EnvironmentId, requests: Mapping[ArmId, int], failures: Mapping[ArmId, int]
    ) -> None: ...

    def written(self, trailers: Mapping[str, str], files: Mapping[str, bytes | None]) -> None: ...


class TrueStore(MemoryStore):
    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness

    def _record(self, facts: Iterable[Recorded], now: float, own: ObjectId | None = None) -> tuple[Recorded, ...]:
        recorded = super()._record(facts, now, own)
        for fact in recorded:
            self._witness.recorded(fact)
        return recorded

    def claim(self, object_id: ObjectId, owner: str, now: float, ttl_s: float) -> Claim | None:
        claim = super().claim(object_id, owner, now, ttl_s)
        if claim is not None:
            self._witness.claimed(claim)
        return claim

    def commit(
        self,
        claim: Claim,
        *,
        state: str,
        facts: Sequence[Recorded],
        todo: Sequence[OutboxEntry],
        wake_at: float | None,
        ended: bool,
        now: float,
    ) -> tuple[Recorded, ...]:
        recorded = super().commit(claim, state=state, facts=facts, todo=todo, wake_at=wake_at, ended=ended, now=now)
        self._witness.stored("decision", claim.object, claim.fence)
        return recorded

    def done(self, entry: OutboxEntry, facts: Sequence[Recorded], now: float) -> None:
        super().done(entry, facts, now)
        self._witness.stored(f"outcome of {entry.kind}", entry.object, entry.fence)


class TrueGateway(MemoryTraffic):
    """`silent`: the counts cannot be read. `failing`: the share of an arm's requests that fails."""

    def __init__(self, clock: Clock, witness: Witness, runtime: TrueRuntime) -> None:
        super().__init__(clock)
        self.witness, self.runtime = witness, runtime
        self.silent = False
        self.failing: dict[Digest, float] = {}
        self._epochs = 0
        self._owed_errors: dict[ArmId, float] = {}

    async def lead(self, fence: int) -> None:
        await super().lead(fence)
        self.witness.led(fence)

    async def apply(self, route: Route, fence: int) -> None:
        await super().apply(route, fence)
        self.witness.instructed("route", route.environment, fence)
        self.witness.moved(route.environment)

    async def lease(self, environment: EnvironmentId, lease: str, share: Share, fence: int) -> None:
        await super().lease(environment, lease, share, fence)
        self.witness.instructed("share", environment, fence)
        self.witness.moved(environment)

    async def counts(self, environment: EnvironmentId) -> Mapping[ArmId, ArmCounts]:
        if self.silent:
            raise failure("metrics-silent", "the counts cannot be read")
        return await super().counts(environment)

    def route(self, environment: EnvironmentId) -> Route | None:
        return self._routes.get(environment)

    def fence(self, environment: EnvironmentId) -> int:
        return self._fences.get(environment, 0)

    def begin_anew(self) -> None:
        """The counts are lost, as if the meter was started again."""
        self._epochs += 1
        self._counts.clear()

    def serve(self, environment: EnvironmentId, requests: int) -> None:
        """A moment's requests: shared out, answered, counted."""
        if environment not in self._routes:
            return
        split = {arm: count for arm, count in self.split(environment, requests).items() if count}
        failures = {arm: self._failures(environment, arm, count) for arm, count in split.items()}
        self.witness.serving(environment, split, failures)
        for arm, count in split.items():
            self.record(environment, arm, requests=count, errors=failures[arm])
            of_arm = self._counts[environment]
            of_arm[arm] = replace(of_arm[arm], epoch=f"memory-{self._epochs}")

    def _failures(self, environment: EnvironmentId, arm: ArmId, requests: int) -> int:
        if not self.runtime.is_ready(environment, arm):
            return requests
        owed = self._owed_errors.get(arm, 0.0) + requests * self.failing.get(arm, 0.0)
        self._owed_errors[arm] = owed - int(owed)
        return int(owed)


class TrueRuntime(MemoryRuntime):
    """`never_ready`: releases whose instances do not start; `hanging`: those that start for ever. `shares`: all that
    may be shared is one program, so that arms share instances whatever their strategies are."""

    def __init__(self, clock: Clock, witness: Witness) -> None:
        super().__init__(clock, ready_after_s=0.3)
        self.witness = witness
        self.never_ready: set[Digest] = set()
        self.hanging: set[Digest] = set()
        self.shares = False
        self._sick: dict[int | None, float] = {}
        """By process: it may be that of several arms."""

    async def stop(self, environment: EnvironmentId, arm: ArmId, keep: int = 0, *, fence: int = 0) -> None:
        there = self.of(environment, arm)[keep:]
        await super().stop(environment, arm, keep, fence=fence)
        self.witness.ran("stop", environment, fence)
        if there:
            self.witness.stopped(environment, arm, keep)
        self.witness.moved(environment)

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
        program = _ANY if program and self.shares else ""
        await super().ensure(environment, arm, specification, root, replicas, env, program=program, fence=fence)
        self.witness.ran("start", environment, fence)

    def of(self, environment: EnvironmentId, arm: ArmId | None = None) -> list[Instance]:
        self._let_time_pass()
        return self._seen(environment, arm)

    def is_ready(self, environment: EnvironmentId, arm: ArmId) -> bool:
        return any(instance.phase == "ready" for instance in self.of(environment, arm))

    def fall(self, instance: Instance, for_s: float) -> None:
        """The instance dies and is started again by its supervisor."""
        self._change(lambda other: other.pid == instance.pid, "backing_off")
        self._sick[instance.pid] = self._clock.now() + for_s

    def _let_time_pass(self) -> None:
        for pid, until in list(self._sick.items()):
            if self._clock.now() >= until:
                del self._sick[pid]
                self._change(lambda other, pid=pid: other.pid == pid, "ready")  # type: ignore[misc]
        super()._let_time_pass()
        self._change(lambda other: other.phase == "ready" and other.release in self.never_ready, "failed")
        self._change(lambda other: other.phase == "ready" and other.release in self.hanging, "unhealthy")


class TrueStateRepository(MemoryStateRepository):
    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness

    def _add(
        self, files: Mapping[str, bytes | None], author: str, subject: str, body: str, trailers: Mapping[str, str]
    ) -> str:
        commit = super()._add(files, author, subject, body, trailers)
        self._witness.written({**trailers, "subject": subject, "commit": commit}, files)
        return commit

    def says(self, environment: EnvironmentId) -> Digest | None:
        """The release that should run there; None when the file is missing or cannot be understood."""
        content = self._commits[-1].files.get(desired_path(environment)) if self._commits else None
        try:
            return None if content is None else parse_desired(content, "")
        except TrimtabError:
            return None

    @property
    def decisions(self) -> list[str]:
        """Of each commit by which Trimtab carried out a decision of its own: what was decided, for what reason."""
        own = [c for c in self._commits if KEY_TRAILER in c.trailers and "Trimtab-Actor" not in c.trailers]
        return [
            " | ".join([c.subject, *(v for name, v in sorted(c.trailers.items()) if name != KEY_TRAILER)]) for c in own
        ]

    def head_now(self) -> int:
        """Counts the commits: a push that was sent before the last of them is refused."""
        return len(self._commits)

    @property
    def keys(self) -> list[str]:
        """The key of each commit that Trimtab wrote."""
        return [commit.trailers[KEY_TRAILER] for commit in self._commits if KEY_TRAILER in commit.trailers]


class TrueProcesses(MemoryProcesses):
    """Steps and gates. `started`: the name of each process that was really started."""

    def __init__(self, clock: Clock, logs: Path) -> None:
        super().__init__(clock, logs, self._ending)
        self.started: list[str] = []

    async def start(self, spec: ProcessSpec) -> ProcessStatus:
        if spec.name not in self._processes:
            self.started.append(spec.name)
        return await super().start(spec)

    @property
    def failed(self) -> list[str]:
        """The processes that ended badly by themselves."""
        ended = [self._now(name).status for name in self._processes]
        return [s.name for s in ended if s.phase == "exited" and s.exit_code and not s.stopped]

    def _ending(self, spec: ProcessSpec) -> Ending:
        words = " ".join(spec.argv)
        return Ending(0.4 if spec.name.startswith("step/") else 2.0, 1 if "exit 1" in words else 0)


class TrueArtifacts(MemoryArtifacts):
    """Writes no file that nobody reads."""

    async def materialise(self, release: Digest) -> Path:
        await self.manifest(release)
        return self._folder

    def manifest_of(self, release: Digest) -> Manifest:
        return self._release(release)[0]

    def specification_of(self, release: Digest) -> Specification:
        return self.manifest_of(release).specification
