"""The actions of environments and rollouts: a port call or a few, and the fact that comes of it.

Each may be carried out more than once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from trimtab.codec import decode_state
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.errors import failure
from trimtab.core.model.actions import (
    Action,
    ApplyRoute,
    CommitDesired,
    RemoveEnvironment,
    RetireRelease,
    RunGate,
    ScaleDown,
    StartInstances,
    StopGate,
)
from trimtab.core.model.facts import DesiredCommitted, Fact, GateStarted, ReleaseRetired
from trimtab.core.model.identity import BASELINE, ArmId, Digest, EnvironmentId, arm, short
from trimtab.core.model.program import program_of
from trimtab.core.model.specification import Specification
from trimtab.core.model.strategy import GateSpec
from trimtab.core.model.traffic import Backend, Endpoint, Route
from trimtab.engine.loop import Handler, Order, done
from trimtab.engine.trusting import Trusting
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.clock import Clock
from trimtab.ports.processes import Processes, ProcessSpec
from trimtab.ports.runtime import Runtime
from trimtab.ports.source import StateRepository
from trimtab.ports.store import Store
from trimtab.ports.traffic import Traffic

DRAIN_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class GateCommand:
    """How a gate is asked: a command line and the variables it needs."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Retirements:
    """What environments have decided to stop, as stored."""

    store: Store

    def __call__(self, environment: EnvironmentId, arm: ArmId, key: str) -> bool:
        row = self.store.get(environment.object_id)
        if row is None or row.state is None:
            return False
        return decode_state(EnvironmentState, row.state).retires(arm, key)


@dataclass(frozen=True, slots=True)
class Delivery:
    state_repository: StateRepository
    artifacts: Artifacts
    runtime: Runtime
    traffic: Traffic
    processes: Processes
    clock: Clock
    trusting: Trusting
    retires: Callable[[EnvironmentId, ArmId, str], bool]
    """Whether the environment, as stored now, still wants the arm stopped by the retirement of this key."""
    gate_command: Callable[[GateSpec], GateCommand]
    _turns: dict[tuple[EnvironmentId, ArmId], asyncio.Lock] = field(default_factory=dict)

    def handlers(self) -> Mapping[type[Action], Handler]:
        return {
            CommitDesired: Handler(self.commit_desired),
            StartInstances: Handler(self.start_instances),
            ScaleDown: Handler(self.scale_down, in_line=False),
            ApplyRoute: Handler(self.apply_route),
            RunGate: Handler(self.run_gate),
            StopGate: Handler(self.stop_gate),
            RetireRelease: Handler(self.retire_release, in_line=False),
            RemoveEnvironment: Handler(self.remove_environment),
        }

    async def commit_desired(self, order: Order) -> Fact:
        action: CommitDesired = order.action
        commit = await self.state_repository.write(
            EnvironmentId(action.app, action.environment),
            action.release,
            subject=action.subject,
            body=action.body,
            trailers=action.trailers,
            key=action.key or order.id,
        )
        return DesiredCommitted(action.release, commit)

    # --- instances ---

    async def start_instances(self, order: Order) -> Fact:
        action: StartInstances = order.action
        if not action.is_live:
            place = EnvironmentId(action.app, action.environment)
            await self.trusting.ensure(place, action.release, action.specification, action.since)
        root = await self.artifacts.materialise(action.release)
        specification, program = await self._program(action)
        environment, wanted = EnvironmentId(action.app, action.environment), arm(action.release, action.guise)
        async with self._turn(environment, wanted):
            await self.runtime.ensure(
                environment,
                wanted,
                specification,
                root,
                action.replicas,
                action.env,
                program=program,
                fence=order.fence,
            )
        return done(order)

    async def _program(self, action: StartInstances) -> tuple[Specification, Digest]:
        """What the instances are started by, and as which program: others may share it. What differs on purpose from
        what runs already, in its age or its variables, shares nothing."""
        said = action.specification
        if action.guise != BASELINE and not said.release.prompts and not said.release.hot:
            return said, ""
        cut = await self.artifacts.manifest(action.release)
        if action.guise == BASELINE:
            # It must differ from the stable release in nothing but its age.
            return cut.specification, ""
        # Of each prompt the manifest knows the variables.
        said = replace(said, release=cut.specification.release)
        return said, "" if action.guise or action.env else program_of(cut, said)

    async def scale_down(self, order: Order) -> Fact:
        """Requests in flight end first; the route sends nothing new to these instances already."""
        action: ScaleDown = order.action
        environment = EnvironmentId(action.app, action.environment)
        leaving = [i.endpoint for i in (await self.runtime.instances(environment, action.arm))[action.keep :]]
        deadline = self.clock.now() + action.drain_timeout_s
        while leaving and self.clock.now() < deadline:
            if await self.traffic.active_requests(environment, action.arm, leaving) == 0:
                break
            await self.clock.sleep(DRAIN_POLL_S)
        async with self._turn(environment, action.arm):
            reading = await self.traffic.reading(environment)
            if reading.problem is not None or set(leaving) & set(reading.endpoints.get(action.arm, ())):
                return done(order)  # the rollout went back meanwhile, and they serve again
            await self.runtime.stop(environment, action.arm, keep=action.keep, fence=order.fence)
            if action.keep == 0:
                await self.traffic.forget(environment, action.arm)
        return done(order)

    async def retire_release(self, order: Order) -> Fact:
        """Requests in flight end first: an answer that streams for a minute is not cut by the release after it.

        The environment may change its mind until then (a rollback to this very release); then nothing is stopped,
        even if it changes it once more: that is another retirement, with a delay of its own.
        """
        action: RetireRelease = order.action
        environment, release = EnvironmentId(action.app, action.environment), action.release

        def is_wanted() -> bool:
            return self.retires(environment, release, order.key)

        until = self.clock.now() + action.delay_s
        while (left_s := until - self.clock.now()) > 0 and is_wanted():
            await self.clock.sleep(min(left_s, 1.0))
        deadline = self.clock.now() + action.drain_timeout_s
        while self.clock.now() < deadline and is_wanted():
            if await self.traffic.active_requests(environment, release) == 0:
                break
            await self.clock.sleep(DRAIN_POLL_S)
        async with self._turn(environment, release):
            if not is_wanted():
                return done(order)
            await self.runtime.stop(environment, release, fence=order.fence)
            await self.traffic.forget(environment, release)
        return ReleaseRetired(release)

    async def remove_environment(self, order: Order) -> Fact:
        """Nobody gets there any more before its instances are told to end."""
        action: RemoveEnvironment = order.action
        environment = EnvironmentId(action.app, action.environment)
        await self.traffic.remove(environment)
        await self.runtime.remove(environment, fence=order.fence)
        return done(order)

    def _turn(self, environment: EnvironmentId, name: ArmId) -> asyncio.Lock:
        """Starting and stopping the same arm's instances take turns."""
        return self._turns.setdefault((environment, name), asyncio.Lock())

    # --- traffic ---

    async def apply_route(self, order: Order) -> Fact:
        action: ApplyRoute = order.action
        environment = EnvironmentId(action.app, action.environment)
        place = action.specification.environment(action.environment)
        if place is None:
            raise failure("environment-missing", f"the release knows no environment {action.environment}")
        latency = place.analysis.latency
        candidate = None
        if action.candidate is not None:
            candidate = await self._backend(environment, action.candidate, action.candidate_replicas)
        route = Route(
            environment=environment,
            listen=Endpoint(place.host, place.port),
            stable=await self._backend(environment, action.stable, action.stable_replicas),
            candidate=candidate,
            lease=action.lease,
            sticky=place.sticky,
            measure="total" if latency is None else latency.measure,
            others=tuple([await self._backend(environment, other, None) for other in action.others]),
            segments=action.segments,
            mirror=action.mirror,
        )
        await self.traffic.apply(route, order.fence)
        return done(order)

    async def _backend(self, environment: EnvironmentId, name: ArmId, replicas: int | None) -> Backend:
        """The arm's instances: the first `replicas` of them serve, the others drain."""
        instances = await self.runtime.instances(environment, name)
        if not instances:
            raise failure("no-instances", f"no instance of {short(name)} runs in {environment}")
        serving, leaving = instances[:replicas], instances[replicas:] if replicas is not None else ()
        return Backend(
            name,
            tuple(sorted(instance.endpoint for instance in serving)),
            tuple(sorted(instance.endpoint for instance in leaving)),
        )

    # --- gates ---

    async def run_gate(self, order: Order) -> Fact:
        """The gate runs in the candidate's files, under a supervisor: it outlives the controller."""
        action: RunGate = order.action
        if await self.processes.status(action.process) is None:
            candidate = action.env["TRIMTAB_CANDIDATE"]
            specification = (await self.artifacts.manifest(candidate)).specification
            await self.trusting.ensure(
                EnvironmentId(action.app, action.environment), candidate, specification, action.since
            )
            root = await self.artifacts.materialise(candidate)
            command = self.gate_command(action.gate)
            await self.processes.start(
                ProcessSpec(
                    name=action.process,
                    argv=command.argv,
                    cwd=str(root),
                    env={**command.env, **action.env},
                    timeout_s=action.gate.timeout_s,
                    read_only=(str(root),),
                )
            )
        return GateStarted(action.gate.name, action.process)

    async def stop_gate(self, order: Order) -> Fact:
        action: StopGate = order.action
        await self.processes.stop(action.process)
        return done(order)
