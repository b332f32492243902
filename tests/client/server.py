"""The real API over in-memory ports, served on a free port by a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tests.cli.scenario import APP, SPECIFICATION, Scenario, play
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.secrets import FileSecrets
from trimtab.api.server import create_api
from trimtab.api.services import Services
from trimtab.app.verifying import verified
from trimtab.client import TrimtabClient
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.engine.trusting import Trusting
from trimtab.ports.forge import Forges
from trimtab.ports.git_http import GitRequest, GitResponse
from trimtab.ports.processes import ProcessSpec
from trimtab.testing.memory_artifacts import MemoryArtifacts
from trimtab.testing.memory_forges import MemoryForges, MemoryForgeSecrets
from trimtab.testing.memory_keys import MemoryKeys
from trimtab.testing.memory_measurements import MemoryMeasurements
from trimtab.testing.memory_processes import MemoryProcesses
from trimtab.testing.memory_runtime import MemoryRuntime
from trimtab.testing.memory_source import MemorySource
from trimtab.testing.memory_store import MemoryStore
from trimtab.views.verification import VerificationView

TOKEN = "the-token"
PRODUCTION = EnvironmentId(APP, "production")


class NoGit:
    """These tests speak no Git."""

    async def serve(self, request: GitRequest) -> GitResponse:
        raise NotImplementedError(request.path)

    async def aclose(self) -> None:
        pass


class Api:
    """The story of `Scenario` behind the real API."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.store = MemoryStore()
        self.source = MemorySource()
        self.artifacts = MemoryArtifacts(folder / "artifacts")
        self.runtime = MemoryRuntime(self.clock)
        self.measurements = MemoryMeasurements(self.clock)
        self.forges: Forges = MemoryForges(self.clock)
        self.forge_secrets = MemoryForgeSecrets()
        self.keys = MemoryKeys()
        self.secret_store = FileSecrets(folder / "secrets", {"TRIMTAB_SECRET_SHARED": "from the environment"})
        self.processes = MemoryProcesses(self.clock, folder / "logs")
        self.scene: Scenario = play()
        self.url = ""
        self.requests: list[str] = []
        """The paths that were asked for, as they come."""
        for recorded in self.scene.facts:
            self.store.append([recorded], recorded.at)
        asyncio.run(self._run_things())

    async def _run_things(self) -> None:
        release = self.scene.live["production"]
        assert release is not None
        await self.source.create(APP)
        await self.runtime.ensure(PRODUCTION, release, SPECIFICATION, Path(), 2)
        for instance in await self.runtime.instances(PRODUCTION):
            await self.write(instance.log, f"hello from {instance.id}", end=False)
        for name in ("lint", "test"):
            await self.write(f"step/{APP}/3/{name}/1", f"{name} line 1\n{name} line 2")

    async def write(self, process: str, text: str, *, end: bool = True) -> None:
        """A process that wrote `text`, and has ended or still runs."""
        await self.processes.start(ProcessSpec(process, ("true",), "."))
        log = self.processes.log_path(process)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"{text}\n")
        if end:
            self.processes.finish(process)

    def services(self) -> Services:
        return Services(
            store=self.store,
            clock=self.clock,
            source=self.source,
            artifacts=self.artifacts,
            runtime=self.runtime,
            processes=self.processes,
            measurements=self.measurements,
            git_http=NoGit(),
            forges=self.forges,
            forge_secrets=self.forge_secrets,
            secret_store=self.secret_store,
            token=TOKEN,
            url=self.url,
            public_url=self.url,
            version="0.1.0",
            wake=lambda _: None,
            verify=self.verify,
        )

    async def verify(self, app: str, release: Digest) -> VerificationView:
        return await verified(app, release, Trusting(self.artifacts, self.keys, self.clock), ())

    def client(self, token: str = TOKEN, actor: str = "ann") -> TrimtabClient:
        return TrimtabClient(self.url, token, actor)

    def tell(self) -> None:
        """Record what was added to the scene meanwhile."""
        known = self.store.facts(newest_first=True, limit=1)[0].seq
        for recorded in self.scene.facts[known:]:
            self.store.append([recorded], recorded.at)

    def point_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let commands find this server by their environment."""
        monkeypatch.setenv("TRIMTAB_URL", self.url)
        monkeypatch.setenv("TRIMTAB_TOKEN", TOKEN)

    def last(self) -> Recorded:
        """The newest fact."""
        return self.store.facts(newest_first=True, limit=1)[0]


@contextmanager
def served(api: Api) -> Iterator[Api]:
    """`api` while it is served."""
    listening = socket.create_server(("127.0.0.1", 0))
    api.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = create_api(api.services())

    async def heard(scope: Scope, receive: Receive, send: Send) -> None:
        api.requests.append(scope["path"])
        await app(scope, receive, send)

    config = uvicorn.Config(heard, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run([listening]), daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield api
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()


def when_followed(api: Api, action: Callable[[Api], None]) -> None:
    """Do something, on a thread of its own, once someone follows the events."""

    def wait() -> None:
        until(lambda: "/api/v1/events" in api.requests)
        action(api)

    threading.Thread(target=wait, daemon=True).start()


def until(true: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for `true()`."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        time.sleep(0.005)
