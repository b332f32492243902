"""The adapters over everything that is kept in one folder."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.artifacts.step_cache import FileStepCache
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.envoy.gateway import EnvoyGateway
from trimtab.adapters.forges import FileForgeSecrets, HttpForges
from trimtab.adapters.git import GitHttpBackend, GitSource, GitStateRepository
from trimtab.adapters.measurements import MeasurementReader
from trimtab.adapters.parts import LimitedPartFiles
from trimtab.adapters.processes.runtime import ProcessRuntime
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.adapters.reports import LimitedReports
from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.adapters.secrets import FileSecrets, SecretPlaces, SopsSecrets, vault_of
from trimtab.adapters.signing import FileKeys
from trimtab.adapters.store_sql.opening import open_store
from trimtab.app.access import GitAccess
from trimtab.app.folder import KEYS, SECRETS, STORE
from trimtab.ports.store import Store


@dataclass(frozen=True, slots=True)
class Ports:
    """The adapters of one folder."""

    clock: SystemClock
    store: Store
    source: GitSource
    state_repository: GitStateRepository
    git_http: GitHttpBackend
    artifacts: FileArtifacts
    processes: SupervisedProcesses
    workspaces: SandboxedWorkspaces
    step_cache: FileStepCache
    secrets: SecretPlaces
    secret_store: FileSecrets
    reports: LimitedReports
    part_files: LimitedPartFiles
    runtime: ProcessRuntime
    gateway: EnvoyGateway
    measurements: MeasurementReader
    forges: HttpForges
    forge_secrets: FileForgeSecrets
    keys: FileKeys

    async def close(self) -> None:
        """Let go of everything; what runs under supervisors goes on."""
        await self.measurements.close()
        await self.forges.aclose()
        await self.git_http.aclose()
        await self.gateway.close()
        await self.runtime.close()
        await self.processes.close()
        self.store.close()


def open_processes(home: Path) -> SupervisedProcesses:
    """What runs for the installation, whatever becomes of its store."""
    return SupervisedProcesses(home / "processes")


def open_ports(home: Path, database: str | None = None) -> Ports:
    """The adapters over everything that is kept in `home`; `database`: the URL of the store, if it is not there."""
    clock = SystemClock()
    processes = open_processes(home)
    store = open_store(database or home / STORE)
    forges, forge_secrets = HttpForges(clock, random.random), FileForgeSecrets(home / SECRETS)
    source = GitSource(home / "git", access=GitAccess(store, forges, forge_secrets))
    kept = FileSecrets(home / SECRETS, os.environ)
    return Ports(
        clock=clock,
        store=store,
        source=source,
        state_repository=GitStateRepository(home / "git"),
        git_http=GitHttpBackend(home / "git"),
        artifacts=FileArtifacts(home / "artifacts"),
        processes=processes,
        workspaces=SandboxedWorkspaces(home / "workspaces", hidden=(home,)),
        step_cache=FileStepCache(home / "cache", os.environ.get("PATH", os.defpath)),
        secrets=SecretPlaces(kept, SopsSecrets(source, os.environ), vault_of(os.environ)),
        secret_store=kept,
        reports=LimitedReports(),
        part_files=LimitedPartFiles(),
        runtime=ProcessRuntime(home / "instances", processes, clock),
        gateway=EnvoyGateway(home / "gateway", processes, clock),
        measurements=MeasurementReader(clock),
        forges=forges,
        forge_secrets=forge_secrets,
        keys=FileKeys(home / KEYS),
    )
