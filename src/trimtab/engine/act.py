"""What actions do: a port call or a few, and the fact that comes of it. Each may be carried out more than once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.actions import (
    Action,
    ApplyRoute,
    CancelSteps,
    CleanWorkspace,
    CommitDesired,
    CutRelease,
    ReadSpecification,
    RetireRelease,
    StartInstances,
    StartStep,
)
from trimtab.core.model.facts import (
    ActionDone,
    DesiredCommitted,
    Fact,
    ReleaseCut,
    ReleaseRetired,
    SpecificationRead,
    SpecificationRefused,
    StepStarted,
)
from trimtab.core.model.identity import Digest, EnvironmentId, short
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Backend, Endpoint, Route
from trimtab.engine.loop import Handler, Order
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.clock import Clock
from trimtab.ports.processes import Processes, ProcessSpec
from trimtab.ports.runtime import Runtime
from trimtab.ports.source import Source, StateRepository
from trimtab.ports.traffic import Traffic

CONFIGURATION = "trimtab.yaml"
DRAIN_POLL_S = 0.1


def step_process(app: str, run: int, step: str, attempt: int) -> str:
    """The name of a step's supervised process."""
    return f"step/{app}/{run}/{step}/{attempt}"


def _done(order: Order) -> ActionDone:
    return ActionDone(order.key, type(order.action).__name__)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The actions of runs. `compile` turns the text of trimtab.yaml into a Specification or raises its problems."""

    source: Source
    processes: Processes
    artifacts: Artifacts
    compile: Callable[[str, str], Specification]
    workspaces: Path
    step_env: Mapping[str, str]
    """What every step's environment starts with."""

    def handlers(self) -> Mapping[type[Action], Handler]:
        return {
            ReadSpecification: Handler(self.read_specification),
            StartStep: Handler(self.start_step),
            CancelSteps: Handler(self.cancel_steps),
            CutRelease: Handler(self.cut_release),
            CleanWorkspace: Handler(self.clean_workspace),
        }

    async def read_specification(self, order: Order) -> Fact:
        action: ReadSpecification = order.action
        place = f"{CONFIGURATION} in {action.commit[:8]}"
        content = await self.source.read(action.app, action.commit, CONFIGURATION)
        if content is None:
            hint = "write one with `trimtab init`, commit it and push again"
            return SpecificationRefused((Problem("config-missing", "there is no trimtab.yaml", hint, place),))
        try:
            # In a thread: a file that is made to be slow holds nobody else up.
            specification = await asyncio.to_thread(self.compile, content.decode(), CONFIGURATION)
        except UnicodeDecodeError:
            return SpecificationRefused((Problem("config-encoding", "the file is not UTF-8", where=place),))
        except TrimtabError as error:
            return SpecificationRefused(error.problems)
        if specification.app != action.app:
            message = f"`app` is {specification.app}, but the repository is {action.app}"
            hint = f"set `app: {action.app}`, or push to {specification.app}.git"
            return SpecificationRefused((Problem("config-app", message, hint, place),))
        return SpecificationRead(specification)

    async def start_step(self, order: Order) -> Fact:
        action: StartStep = order.action
        name = step_process(action.app, action.run, action.step.name, action.attempt)
        if await self.processes.status(name) is None:
            workspace = await self._workspace(action.app, action.run, action.commit)
            run = {
                "TRIMTAB_APP": action.app,
                "TRIMTAB_RUN": str(action.run),
                "TRIMTAB_COMMIT": action.commit,
                "TRIMTAB_STEP": action.step.name,
            }
            await self.processes.start(
                ProcessSpec(
                    name=name,
                    argv=("/bin/sh", "-ec", action.step.run),
                    cwd=str(workspace),
                    env={**self.step_env, **run, **action.step.env},
                    timeout_s=action.step.timeout_s,
                )
            )
        return StepStarted(action.step.name, action.attempt, name)

    async def cancel_steps(self, order: Order) -> Fact:
        action: CancelSteps = order.action
        steps = await self.processes.list(f"step/{action.app}/{action.run}/")
        await asyncio.gather(*(self.processes.stop(step.name) for step in steps))
        return _done(order)

    async def cut_release(self, order: Order) -> Fact:
        action: CutRelease = order.action
        commit = action.change.commit
        workspace = await self._workspace(action.app, action.run, commit)
        tracked = await self.source.tracked(action.app, commit)
        manifest = await self.artifacts.cut(workspace, tracked, action.specification)
        return ReleaseCut(manifest.digest, action.run, commit, manifest.parts, action.change.subject)

    async def clean_workspace(self, order: Order) -> Fact:
        action: CleanWorkspace = order.action
        await asyncio.to_thread(shutil.rmtree, self._folder(action.app, action.run), ignore_errors=True)
        return _done(order)

    async def _workspace(self, app: str, run: int, commit: str) -> Path:
        """The run's folder with the commit's files, made once: steps share what they build in it."""
        folder = self._folder(app, run)
        if not folder.exists():
            half = folder.with_name(f"{folder.name}.new")
            await self.source.checkout(app, commit, half)
            half.rename(folder)
        return folder

    def _folder(self, app: str, run: int) -> Path:
        return self.workspaces / app / str(run)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The actions of environments and rollouts."""

    state_repository: StateRepository
    artifacts: Artifacts
    runtime: Runtime
    traffic: Traffic
    clock: Clock
    retiring: Callable[[EnvironmentId], Collection[Digest]]
    """The releases that the environment has decided to stop, as stored now."""
    _turns: dict[tuple[EnvironmentId, Digest], asyncio.Lock] = field(default_factory=dict)

    def handlers(self) -> Mapping[type[Action], Handler]:
        return {
            CommitDesired: Handler(self.commit_desired),
            StartInstances: Handler(self.start_instances),
            ApplyRoute: Handler(self.apply_route),
            RetireRelease: Handler(self.retire_release, in_line=False),
        }

    async def commit_desired(self, order: Order) -> Fact:
        action: CommitDesired = order.action
        commit = await self.state_repository.write(
            EnvironmentId(action.app, action.environment),
            action.release,
            subject=action.subject,
            body=action.body,
            trailers=action.trailers,
            key=order.id,
        )
        return DesiredCommitted(action.release, commit)

    async def start_instances(self, order: Order) -> Fact:
        action: StartInstances = order.action
        root = await self.artifacts.materialise(action.release)
        environment = EnvironmentId(action.app, action.environment)
        async with self._turn(environment, action.release):
            await self.runtime.ensure(environment, action.release, action.specification, root, action.replicas)
        return _done(order)

    async def apply_route(self, order: Order) -> Fact:
        action: ApplyRoute = order.action
        environment = EnvironmentId(action.app, action.environment)
        place = action.specification.environment(action.environment)
        if place is None:
            raise failure("environment-missing", f"the release knows no environment {action.environment}")
        latency = place.analysis.latency
        candidate = None if action.candidate is None else await self._backend(environment, action.candidate)
        route = Route(
            environment=environment,
            listen=Endpoint(place.host, place.port),
            stable=await self._backend(environment, action.stable),
            candidate=candidate,
            lease=action.lease,
            sticky=place.sticky,
            measure="total" if latency is None else latency.measure,
        )
        await self.traffic.apply(route, order.fence)
        return _done(order)

    async def _backend(self, environment: EnvironmentId, release: Digest) -> Backend:
        instances = await self.runtime.instances(environment, release)
        if not instances:
            raise failure("no-instances", f"no instance of {short(release)} runs in {environment}")
        return Backend(release, tuple(sorted(instance.endpoint for instance in instances)))

    async def retire_release(self, order: Order) -> Fact:
        """Requests in flight end first: an answer that streams for a minute is not cut by the release after it.

        The environment may change its mind while they do (a rollback to this very release); then nothing is stopped.
        """
        action: RetireRelease = order.action
        environment, release = EnvironmentId(action.app, action.environment), action.release
        deadline = self.clock.now() + action.drain_timeout_s
        while self.clock.now() < deadline and release in self.retiring(environment):
            if await self.traffic.active_requests(environment, release) == 0:
                break
            await self.clock.sleep(DRAIN_POLL_S)
        async with self._turn(environment, release):
            if release in self.retiring(environment):
                await self.runtime.stop(environment, release)
                await self.traffic.forget(environment, release)
        return ReleaseRetired(release)

    def _turn(self, environment: EnvironmentId, release: Digest) -> asyncio.Lock:
        """Starting and stopping the same release's instances take turns."""
        return self._turns.setdefault((environment, release), asyncio.Lock())
