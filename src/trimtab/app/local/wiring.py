"""The engine of local runs: the decisions, handlers and adapters of a server, as far as a pipeline needs them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trimtab.adapters import services
from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.artifacts.step_cache import FileStepCache
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.git import GitSource
from trimtab.adapters.parts import LimitedPartFiles
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.adapters.reports import LimitedReports
from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.adapters.secrets import FileSecrets, SecretPlaces, SopsSecrets, vault_of
from trimtab.adapters.store_sql.opening import open_store
from trimtab.app.folder import SECRETS, STORE
from trimtab.app.gate_programs import gate_programs
from trimtab.app.inherited import of_steps
from trimtab.app.local.place import OF_SERVER, Place
from trimtab.config.loading import load as load_configuration
from trimtab.core.decide.application import AppState
from trimtab.core.model.decision import Decision
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ObjectId, app_of
from trimtab.core.model.pipeline import StepSpec
from trimtab.core.model.specification import Specification
from trimtab.engine.checkouts import Checkouts
from trimtab.engine.loop import Engine
from trimtab.engine.observe import Runs, Turns
from trimtab.engine.pipeline import Files, Pipeline
from trimtab.engine.step_reports import StepReports
from trimtab.engine.steps import EarlierRuns, Steps
from trimtab.ports.store import Store


@dataclass(frozen=True, slots=True)
class LocalPorts:
    """The adapters over one place. Nothing in them is shared with an installation: its cache decides what goes to
    production, and a working tree must not be able to leave anything in it."""

    clock: SystemClock
    store: Store
    source: GitSource
    artifacts: FileArtifacts
    processes: SupervisedProcesses
    workspaces: SandboxedWorkspaces
    step_cache: FileStepCache
    secrets: SecretPlaces

    async def close(self) -> None:
        await self.processes.close()
        self.store.close()


def open_local(
    place: Place, variables: Mapping[str, str], secrets_given: Mapping[str, str] | None = None
) -> LocalPorts:
    """`variables`: the environment in which secrets are looked for; `secrets_given`: those that come before."""
    home, source = place.home, GitSource(place.home / "git")
    own = FileSecrets(place.top / OF_SERVER / SECRETS, variables, secrets_given)
    return LocalPorts(
        clock=SystemClock(),
        store=open_store(home / STORE),
        source=source,
        artifacts=FileArtifacts(home / "artifacts"),
        processes=SupervisedProcesses(home / "processes"),
        workspaces=SandboxedWorkspaces(home / "workspaces", hidden=place.hidden),
        step_cache=FileStepCache(home / "cache", os.environ.get("PATH", os.defpath)),
        secrets=SecretPlaces(own, SopsSecrets(source, variables), vault_of(variables), frozenset(secrets_given or ())),
    )


@dataclass(frozen=True, slots=True)
class _Bystander:
    """The application: it is told what it would act on elsewhere, and does nothing here."""

    state_type: type[Any] = AppState

    def fresh(self, object_id: ObjectId) -> AppState:
        return AppState(app_of(object_id))

    async def decide(self, state: Any, _facts: tuple[Recorded, ...], _now: float) -> Decision[Any]:
        return Decision(state)


def steps_of(ports: LocalPorts, place: Place) -> Steps:
    return Steps(
        checkouts=Checkouts(ports.source, place.home / "runs"),
        processes=ports.processes,
        workspaces=ports.workspaces,
        cache=ports.step_cache,
        secrets=ports.secrets,
        reports=StepReports(ports.workspaces, LimitedReports()),
        env=of_steps(),
        earlier=EarlierRuns(ports.store),
        gates=gate_programs(),
        command=services.command,
    )


def pipeline_of(ports: LocalPorts, place: Place, *, sandbox: bool) -> Pipeline:
    """`sandbox` False: no step is isolated, whatever trimtab.yaml says."""

    def compiled(text: str, name: str, files: Files) -> Specification:
        specification = load_configuration(text, name, files)
        return specification if sandbox else in_the_open(specification)

    steps = steps_of(ports, place)
    return Pipeline(ports.source, ports.artifacts, ports.workspaces, steps, compiled, LimitedPartFiles())


def wire_local(ports: LocalPorts, place: Place, *, sandbox: bool) -> Engine:
    """`sandbox`: as for `pipeline_of`."""
    engine = Engine(
        store=ports.store,
        clock=ports.clock,
        traffic=None,
        kinds={"app": _Bystander(), "run": Runs(ports.processes, os.cpu_count() or 1), "turn": Turns()},
        handlers=pipeline_of(ports, place, sandbox=sandbox).handlers(),
        owner=f"local-{os.getpid()}-{secrets.token_hex(3)}",
    )
    ports.processes.on_change(lambda name: engine.wake(f"run/{'/'.join(name.split('/')[1:3])}"))
    return engine


def in_the_open(specification: Specification) -> Specification:
    """The specification with steps that are not isolated. What they give may depend on anything on the machine, so it
    stands for nothing later."""

    def opened(step: StepSpec) -> StepSpec:
        return replace(step, sandbox=replace(step.sandbox, on=False), cached=False)

    return replace(specification, steps=tuple(map(opened, specification.steps)))
