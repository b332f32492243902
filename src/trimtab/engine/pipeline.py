"""The actions of runs: a port call or a few, and the fact that comes of it. Each may be carried out more than once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.actions import (
    Action,
    CancelSteps,
    CleanWorkspace,
    CutRelease,
    ReadSpecification,
    StartStep,
)
from trimtab.core.model.facts import (
    Fact,
    ReleaseCut,
    SpecificationRead,
    SpecificationRefused,
    StepStarted,
)
from trimtab.core.model.specification import Specification
from trimtab.engine.loop import Handler, Order, done
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.processes import Processes, ProcessSpec
from trimtab.ports.source import Source

CONFIGURATION = "trimtab.yaml"
DRAIN_POLL_S = 0.1


def step_process(app: str, run: int, step: str, attempt: int) -> str:
    """The name of a step's supervised process."""
    return f"step/{app}/{run}/{step}/{attempt}"


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
        return done(order)

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
        return done(order)

    async def _workspace(self, app: str, run: int, commit: str) -> Path:
        """The run's folder with the commit's files, made once: steps share what they build in it."""
        folder = self._folder(app, run)
        if not folder.exists():
            half = folder.with_name(f"{folder.name}.new")
            await self.source.checkout(app, commit, half)
            try:
                half.rename(folder)
            except OSError:
                await asyncio.to_thread(shutil.rmtree, half, ignore_errors=True)
                if not folder.exists():
                    hint = "if this controller was paused for long, nothing is wrong"
                    raise failure("workspace-gone", "another controller took the run over", hint, str(folder)) from None
        return folder

    def _folder(self, app: str, run: int) -> Path:
        return self.workspaces / app / str(run)
