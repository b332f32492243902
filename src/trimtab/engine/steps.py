"""The actions of steps: a port call or a few, and the fact that comes of it. Each may be carried out more than once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trimtab.codec import decode_state
from trimtab.core.decide.run import RunState
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.actions import Action, CancelSteps, CleanWorkspace, KeepStep, LookUpSteps, StartStep
from trimtab.core.model.documents import LISTING, LISTING_ENV, Plan, whole_key
from trimtab.core.model.facts import Fact, StepKept, StepsLookedUp, StepStarted, StepTaken
from trimtab.core.model.identity import Digest, run_object
from trimtab.core.model.pipeline import StepResult, StepSpec, layers_of, needed_by
from trimtab.core.model.report import compared, objections
from trimtab.core.model.secret import SecretSpec
from trimtab.core.model.step_key import step_key
from trimtab.engine.checkouts import Checkouts, token
from trimtab.engine.for_each import WITH_WHOLE_PATH, Documents
from trimtab.engine.loop import Handler, Order, done
from trimtab.engine.step_reports import StepReports
from trimtab.ports.processes import Limits, Processes, ProcessSpec
from trimtab.ports.secrets import Secrets
from trimtab.ports.step_cache import StepCache
from trimtab.ports.store import Store
from trimtab.ports.workspaces import Isolation, Workspaces


def step_process(app: str, run: int, step: str, attempt: int) -> str:
    """The name of a step's supervised process."""
    return f"step/{app}/{run}/{step}/{attempt}"


def release_workspace(app: str, run: int) -> str:
    """The name of the workspace that a run's release is cut from."""
    return f"release/{app}/{run}"


def shell(step: StepSpec) -> tuple[str, ...]:
    """The command line of a step."""
    return ("/bin/sh", "-ec", step.run)


@dataclass(frozen=True, slots=True)
class Keys:
    """What the outcome of a step is known by; empty: it is not kept. `without_documents`: another one for a step that
    works document by document."""

    whole: Digest = ""
    without_documents: Digest = ""


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
    """The actions of steps. Their inputs are made once for each run (`checkouts`); their workspaces are their own."""

    checkouts: Checkouts
    processes: Processes
    workspaces: Workspaces
    cache: StepCache
    secrets: Secrets
    reports: StepReports
    env: Mapping[str, str]
    """What every step's environment starts with."""
    earlier: Callable[[str, int], Mapping[str, StepResult]]
    command: Callable[[StepSpec], tuple[str, ...]] = shell
    gates: GatePrograms = GatePrograms()

    @property
    def documents(self) -> Documents:
        return Documents(self.checkouts, self.workspaces, self.cache)

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
            layers = layers_of(taken[name].outputs for name in needed_by(action.steps, step.name))
            result = before.get(step.name)
            if result is not None and result.outputs is not None and not await self.cache.has(result.outputs):
                result = None
            if result is None and step.cached:
                try:
                    result = await self.known(action.app, action.commit, step, layers, action.scopes)
                except TrimtabError:
                    continue  # it is said when the step starts
            result = _as_judged_now(result, step, action.coverage_pct.get(step.name))
            if result is not None:
                taken[step.name] = result
        return StepsLookedUp(taken)

    async def known(
        self, app: str, commit: str, step: StepSpec, layers: Sequence[Digest], scopes: Sequence[str]
    ) -> StepResult | None:
        """What the step would give, if that is known. Raises `TrimtabError` (`tool-missing`, `for-each-nothing`)."""
        keys = await self.keys(app, commit, step, layers)
        result = await self.cache.find(keys.whole, scopes)
        if result is None and step.for_each is not None:
            todo = await self.to_build(app, commit, step, layers, scopes)
            result = await self.documents.whole(step, todo)
        return result

    async def to_build(
        self, app: str, commit: str, step: StepSpec, layers: Sequence[Digest], scopes: Sequence[str]
    ) -> Plan:
        """Which documents the step would build, and which are known. Raises as `known` does."""
        keys = await self.keys(app, commit, step, layers)
        return await self.documents.plan(app, commit, step, keys.without_documents, scopes)

    async def keys(self, app: str, commit: str, step: StepSpec, layers: Sequence[Digest]) -> Keys:
        """What the step's outcome is known by in the cache. Raises `TrimtabError` (`tool-missing`)."""
        environment, toolchain = self._environment(app, step), await self.cache.toolchain(step.tools)
        if step.for_each is None:
            inputs = await self.checkouts.digest(app, commit, step.inputs)
            key = step_key(step, environment, inputs, layers, toolchain, self.gates.version)
            return Keys(key, key)
        selection = await self.documents.selection(app, commit, step)
        key = step_key(step, environment, selection.inputs, layers, toolchain, self.gates.version)
        return Keys(whole_key(key, selection.keys), key)

    # --- a step from its start to its outputs ---

    async def start(self, order: Order) -> Fact:
        action: StartStep = order.action
        step = action.step
        name = step_process(action.app, action.run, step.name, action.attempt)
        keys = await self.keys(action.app, action.commit, step, action.layers) if action.scopes else Keys()
        if await self.processes.status(name) is None:
            known = await self.cache.find(keys.whole, action.scopes) if keys.whole and not action.fresh else None
            known = _as_judged_now(known, step, action.coverage_pct)
            todo = None
            if known is None and step.for_each is not None:
                key, scopes = keys.without_documents, () if action.anew else action.scopes
                todo = await self.documents.plan(action.app, action.commit, step, key, scopes)
                known = await self.documents.whole(step, todo)
            if known is not None:
                return StepTaken(step.name, known)
            await self._start(action, name, keys.without_documents, todo)
        work = await self.documents.work(action.app, action.run, name) if step.for_each is not None else None
        return StepStarted(step.name, action.attempt, name, keys.whole, work)

    async def _start(self, action: StartStep, name: str, key: Digest, todo: Plan | None) -> None:
        """`todo`: of a step that works document by document."""
        step = action.step
        if not action.trusted:
            _refuse_what_is_not_for_strangers(step)
        made = [await self.cache.folder(tree) for tree in action.layers]
        if todo is not None:
            files, listing = await self.documents.begin(action, name, key, todo)
            layers, argv = [files, *made, listing], WITH_WHOLE_PATH
        else:
            layers, argv = [await self.checkouts.make(action.app, action.run, action.commit, step.inputs), *made], ()
        read = (*step.sandbox.read, *self.gates.read) if step.gate else step.sandbox.read
        isolation = Isolation(step.sandbox.on, step.sandbox.network, read)
        opened = await self.workspaces.open(name, layers, isolation)
        limits = step.limits
        await self.processes.start(
            ProcessSpec(
                name=name,
                argv=(*opened.argv, *argv, *self.command(step)),
                cwd=opened.cwd,
                env=self._variables(action),
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

    def _environment(self, app: str, step: StepSpec) -> dict[str, str]:
        """What every run of the step has in common. One whose outcome is kept for other commits gets no more: it does
        not get to know which one it is."""
        gates = self.gates.env if step.gate else {}
        documents = {LISTING_ENV: LISTING} if step.for_each is not None else {}
        return {**self.env, "TRIMTAB_APP": app, "TRIMTAB_STEP": step.name, **gates, **step.env, **documents}

    def _variables(self, action: StartStep) -> dict[str, str]:
        known = self._environment(action.app, action.step)
        if action.scopes:
            return known
        schedule = {"TRIMTAB_SCHEDULE": action.schedule} if action.schedule else {}
        return {"TRIMTAB_RUN": str(action.run), "TRIMTAB_COMMIT": action.commit, **schedule, **known}

    async def _secrets(self, action: StartStep) -> dict[str, str]:
        names = action.step.secrets
        if not names:
            return {}
        places = {spec.name: spec for spec in action.step.secret_places}
        wanted = [places.get(name) or SecretSpec(name) for name in names]
        return await self.secrets.values(action.app, action.commit, wanted)

    async def keep(self, order: Order) -> Fact:
        action: KeepStep = order.action
        outputs: Digest | None = None
        folder = self.checkouts.of_run(action.app, action.run)
        report = await self.reports.of(action, folder / token("reports", action.process))
        collected = folder / token("outputs", action.process)
        if action.passed and action.step.for_each is not None:
            outputs = await self.documents.keep(action, collected)
        elif action.passed and action.step.outputs:
            await asyncio.to_thread(shutil.rmtree, collected, ignore_errors=True)
            await self.workspaces.collect(action.process, action.step.outputs, collected)
            outputs = await self.cache.put(collected)
            await asyncio.to_thread(shutil.rmtree, collected, ignore_errors=True)
        if action.scope is not None and not objections(action.step.reports, report):
            documents = action.documents.count if action.documents is not None else None
            result = StepResult(outputs, action.process, action.duration_s, report, documents)
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
        await self.workspaces.close(release_workspace(action.app, action.run))
        await asyncio.to_thread(shutil.rmtree, self.checkouts.of_run(action.app, action.run), ignore_errors=True)
        return done(order)


def _as_judged_now(result: StepResult | None, step: StepSpec, coverage_pct: float | None) -> StepResult | None:
    """What a step once gave, with its coverage beside what that is compared with now; None if it would not pass."""
    if result is None or not step.reports:
        return result
    report = compared(result.report, coverage_pct)
    return None if report is None or objections(step.reports, report) else replace(result, report=report)


def _refuse_what_is_not_for_strangers(step: StepSpec) -> None:
    """Whoever may open a pull request from a fork writes its trimtab.yaml: it opens no door. Raises `TrimtabError`."""
    wishes = {
        f"secrets ({', '.join(step.secrets)})": bool(step.secrets),
        "to run without a sandbox": not step.sandbox.on,
        f"to read {', '.join(step.sandbox.read)}": bool(step.sandbox.read),
    }
    asked = [wish for wish, is_asked in wishes.items() if is_asked]
    if asked:
        message = f"it wants {' and '.join(asked)}, which a pull request from a fork does not get"
        hint = "leave the step out of pull requests with `if: {pull_request: false}`, or push the branch here"
        raise failure("fork-refused", message, hint, f"pipeline.{step.name}")
