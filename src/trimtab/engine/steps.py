"""The actions of steps: a port call or a few, and the fact that comes of it. Each may be carried out more than once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from trimtab.codec import decode_state
from trimtab.core.decide.run import RunState
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.actions import Action, CancelSteps, CleanWorkspace, KeepStep, LookUpSteps, StartStep
from trimtab.core.model.facts import Fact, StepKept, StepsLookedUp, StepStarted, StepTaken
from trimtab.core.model.identity import Digest, run_object
from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import InputFile, StepResult, StepSpec, needed_by
from trimtab.core.model.report import compared, objections
from trimtab.core.model.secret import SecretSpec
from trimtab.core.model.step_key import inputs_digest, step_key
from trimtab.engine.loop import Handler, Order, done
from trimtab.engine.step_reports import StepReports
from trimtab.ports.processes import Limits, Processes, ProcessSpec
from trimtab.ports.secrets import Secrets
from trimtab.ports.source import Source
from trimtab.ports.step_cache import StepCache
from trimtab.ports.store import Store
from trimtab.ports.workspaces import Isolation, Workspaces

K = TypeVar("K")
V = TypeVar("V")

_COMMITS_REMEMBERED = 8


def step_process(app: str, run: int, step: str, attempt: int) -> str:
    """The name of a step's supervised process."""
    return f"step/{app}/{run}/{step}/{attempt}"


def shell(step: StepSpec) -> tuple[str, ...]:
    """The command line of a step."""
    return ("/bin/sh", "-ec", step.run)


@dataclass(frozen=True, slots=True)
class GatePrograms:
    """How steps run Trimtab's own gates. `env`: where they are; `read`: the folders of the machine that they need
    beside its programs; `version`: another one may find something else."""

    env: Mapping[str, str] = field(default_factory=dict)
    read: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class EarlierRuns:
    """What earlier runs have given, as stored."""

    store: Store

    def __call__(self, app: str, run: int) -> Mapping[str, StepResult]:
        row = self.store.get(run_object(app, run))
        if row is None or row.state is None:
            return {}
        steps = decode_state(RunState, row.state).steps
        return {
            name: StepResult(step.outputs, step.process, step.duration_s, step.report)
            for name, step in steps.items()
            if step.status == "passed"
        }


@dataclass(frozen=True, slots=True)
class Steps:
    """The actions of steps. Their inputs are made once for each run, in `folder`; their workspaces are their own."""

    source: Source
    processes: Processes
    workspaces: Workspaces
    cache: StepCache
    secrets: Secrets
    reports: StepReports
    folder: Path
    env: Mapping[str, str]
    """What every step's environment starts with."""
    earlier: Callable[[str, int], Mapping[str, StepResult]]
    command: Callable[[StepSpec], tuple[str, ...]] = shell
    gates: GatePrograms = GatePrograms()
    _files: dict[tuple[str, str], tuple[InputFile, ...]] = field(default_factory=dict)
    _inputs: dict[tuple[str, str, tuple[str, ...]], Digest] = field(default_factory=dict)

    def handlers(self) -> Mapping[type[Action], Handler]:
        return {
            LookUpSteps: Handler(self.look_up),
            StartStep: Handler(self.start),
            KeepStep: Handler(self.keep),
            CancelSteps: Handler(self.cancel),
            CleanWorkspace: Handler(self.clean),
        }

    # --- the cache ---

    async def look_up(self, order: Order) -> Fact:
        """What is known of the steps whose needs are all known themselves."""
        action: LookUpSteps = order.action
        before = self.earlier(action.app, action.again_of) if action.again_of is not None else {}
        taken: dict[str, StepResult] = {}
        for step in action.steps:
            if step.name in action.fresh or any(need not in taken for need in step.needs):
                continue
            layers = _layers(needed_by(action.steps, step.name), taken)
            result = before.get(step.name)
            if result is not None and result.outputs is not None and not await self.cache.has(result.outputs):
                result = None
            if result is None and step.cached:
                try:
                    result = await self.cache.find(
                        await self.key(action.app, action.commit, step, layers), action.scopes
                    )
                except TrimtabError:
                    continue  # it is said when the step starts
            result = _as_judged_now(result, step, action.coverage_pct.get(step.name))
            if result is not None:
                taken[step.name] = result
        return StepsLookedUp(taken)

    async def key(self, app: str, commit: str, step: StepSpec, layers: Sequence[Digest]) -> Digest:
        """What the step's outcome is known by in the cache. Raises `TrimtabError` (`tool-missing`)."""
        wanted = (app, commit, step.inputs)
        if wanted not in self._inputs:
            inputs = inputs_digest(await self._files_of(app, commit), step.inputs)
            _remember(self._inputs, wanted, inputs, _COMMITS_REMEMBERED * 64)
        toolchain = await self.cache.toolchain(step.tools)
        return step_key(step, self._inputs[wanted], layers, toolchain, self.gates.version)

    async def _files_of(self, app: str, commit: str) -> tuple[InputFile, ...]:
        if (app, commit) not in self._files:
            _remember(self._files, (app, commit), await self.source.files(app, commit), _COMMITS_REMEMBERED)
        return self._files[app, commit]

    # --- a step from its start to its outputs ---

    async def start(self, order: Order) -> Fact:
        action: StartStep = order.action
        step = action.step
        name = step_process(action.app, action.run, step.name, action.attempt)
        key = await self.key(action.app, action.commit, step, action.layers) if action.scopes else ""
        if await self.processes.status(name) is None:
            known = await self.cache.find(key, action.scopes) if key and not action.fresh else None
            known = _as_judged_now(known, step, action.coverage_pct)
            if known is not None:
                return StepTaken(step.name, known)
            await self._start(action, name)
        return StepStarted(step.name, action.attempt, name, key)

    async def _start(self, action: StartStep, name: str) -> None:
        step = action.step
        layers = [await self._inputs_folder(action), *[await self.cache.folder(tree) for tree in action.layers]]
        read = (*step.sandbox.read, *self.gates.read) if step.gate else step.sandbox.read
        isolation = Isolation(step.sandbox.on, step.sandbox.network, read)
        opened = await self.workspaces.open(name, layers, isolation)
        limits = step.limits
        await self.processes.start(
            ProcessSpec(
                name=name,
                argv=(*opened.argv, *self.command(step)),
                cwd=opened.cwd,
                env=self._env(action),
                timeout_s=step.timeout_s,
                secrets=await self._secrets(action),
                limits=Limits(
                    memory_bytes=limits.memory_bytes,
                    processes=limits.processes,
                    cpus=limits.cpus,
                    disk_bytes=limits.disk_bytes,
                    folder=opened.folder,
                    output_bytes=limits.output_bytes,
                ),
                log_files=0,
            )
        )

    def _env(self, action: StartStep) -> dict[str, str]:
        """A step whose outcome is kept for other commits does not get to know which one it is."""
        about = {"TRIMTAB_APP": action.app, "TRIMTAB_STEP": action.step.name}
        if not action.scopes:
            about |= {"TRIMTAB_RUN": str(action.run), "TRIMTAB_COMMIT": action.commit}
            if action.schedule:
                about["TRIMTAB_SCHEDULE"] = action.schedule
        gates = self.gates.env if action.step.gate else {}
        return {**self.env, **about, **gates, **action.step.env}

    async def _secrets(self, action: StartStep) -> dict[str, str]:
        names = action.step.secrets
        if names and not action.trusted:
            message = f"it wants secrets ({', '.join(names)}), and a pull request from a fork gets none"
            hint = "leave the step out of pull requests with `if: {pull_request: false}`, or push the branch here"
            raise failure("secret-refused", message, hint, f"pipeline.{action.step.name}.secrets")
        if not names:
            return {}
        places = {spec.name: spec for spec in action.step.secret_places}
        wanted = [places.get(name) or SecretSpec(name) for name in names]
        return await self.secrets.values(action.app, action.commit, wanted)

    async def keep(self, order: Order) -> Fact:
        action: KeepStep = order.action
        outputs: Digest | None = None
        report = await self.reports.of(action, self._folder(action.app, action.run) / _token("reports", action.process))
        if action.passed and action.step.outputs:
            collected = self._folder(action.app, action.run) / f"outputs-{_token(action.process)}"
            await asyncio.to_thread(shutil.rmtree, collected, ignore_errors=True)
            await self.workspaces.collect(action.process, action.step.outputs, collected)
            outputs = await self.cache.put(collected)
            await asyncio.to_thread(shutil.rmtree, collected, ignore_errors=True)
        if action.scope is not None and not objections(action.step.reports, report):
            result = StepResult(outputs, action.process, action.duration_s, report)
            await self.cache.keep(action.key, action.scope, result)
        return StepKept(action.step.name, action.attempt, outputs, report)

    async def cancel(self, order: Order) -> Fact:
        action: CancelSteps = order.action
        steps = await self.processes.list(f"step/{action.app}/{action.run}/")
        await asyncio.gather(*(self.processes.stop(step.name) for step in steps))
        return done(order)

    async def clean(self, order: Order) -> Fact:
        action: CleanWorkspace = order.action
        for step in await self.processes.list(f"step/{action.app}/{action.run}/"):
            await self.workspaces.close(step.name)
        await asyncio.to_thread(shutil.rmtree, self._folder(action.app, action.run), ignore_errors=True)
        return done(order)

    # --- the commit's files ---

    async def checkout(self, app: str, run: int, commit: str) -> Path:
        """A folder with all files of the commit, for this run; nobody may change it."""
        return await self._whole(
            self._folder(app, run) / "source", lambda half: self.source.checkout(app, commit, half)
        )

    async def _inputs_folder(self, action: StartStep) -> Path:
        """A folder with those files that the step sees."""
        source = await self.checkout(action.app, action.run, action.commit)
        patterns = action.step.inputs
        if not patterns:
            return source
        paths = matching([file.path for file in await self._files_of(action.app, action.commit)], patterns)

        async def link(half: Path) -> None:
            await asyncio.to_thread(_link, source, paths, half)

        return await self._whole(source.with_name(f"inputs-{_token(*patterns)}"), link)

    async def _whole(self, folder: Path, make: Callable[[Path], Awaitable[None]]) -> Path:
        """The folder, made if it is not there: whole, or not at all."""
        if folder.exists():
            return folder
        half = folder.with_name(f"{folder.name}.new")
        try:
            await asyncio.to_thread(half.parent.mkdir, parents=True, exist_ok=True)
            await make(half)
            half.rename(folder)
        except OSError as error:
            await asyncio.to_thread(shutil.rmtree, half, ignore_errors=True)
            if not folder.exists():
                hint = "see that the disk has space; if this controller was paused for long, nothing is wrong"
                raise failure("workspace-io", f"it could not be made: {error.strerror}", hint, str(folder)) from None
        return folder

    def _folder(self, app: str, run: int) -> Path:
        return self.folder / app / str(run)


def _layers(names: Sequence[str], taken: Mapping[str, StepResult]) -> tuple[Digest, ...]:
    found = (taken[name].outputs for name in names)
    return tuple(dict.fromkeys(outputs for outputs in found if outputs is not None))


def _as_judged_now(result: StepResult | None, step: StepSpec, coverage_pct: float | None) -> StepResult | None:
    """What a step once gave, with its coverage beside what that is compared with now; None if it would not pass."""
    if result is None or not step.reports:
        return result
    report = compared(result.report, coverage_pct)
    return None if report is None or objections(step.reports, report) else replace(result, report=report)


def _link(source: Path, paths: Sequence[str], into: Path) -> None:
    """Another name for each of these files: nobody changes what is in a layer."""
    into.mkdir()
    for path in paths:
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source / path, target, follow_symlinks=False)


def _token(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _remember(memory: dict[K, V], key: K, value: V, most: int) -> None:
    memory[key] = value
    while len(memory) > most:
        del memory[next(iter(memory))]
