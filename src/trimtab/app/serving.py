"""`trimtab up`: controller, gateway and API of one folder, until a signal comes."""

from __future__ import annotations

import asyncio
import getpass
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from trimtab import __version__
from trimtab.adapters.git import configure_hooks
from trimtab.api.server import create_api
from trimtab.api.services import Services
from trimtab.app.database import choose_database, remember_database
from trimtab.app.folder import alongside, forget, found, only_one, tell, token_of
from trimtab.app.identity import ensure_ours, this_controller
from trimtab.app.ports import open_ports
from trimtab.app.troubles import troubles
from trimtab.app.verifying import verified
from trimtab.app.wiring import DATA_PLANE, trusting_of, wire
from trimtab.config.loading import load as load_configuration
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.facts import AppRegistered, Recorded
from trimtab.core.model.identity import Digest, app_object
from trimtab.engine.housekeeping import Housekeeper
from trimtab.engine.listening import listen
from trimtab.engine.watch import StateWatch
from trimtab.ports.store import Store
from trimtab.views.model import ControllerView
from trimtab.views.verification import VerificationView

REMOTE = "trimtab"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a controller is started. `database`: the URL of the store, if it is not a file in the folder. `join`: be
    another controller beside the one that holds the folder. `public_url`: where forges and others reach the API."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 7070
    database: str | None = None
    join: bool = False
    public_url: str | None = None


def serve(settings: Settings, repository: Path | None) -> int:
    """Run controller, gateway and API until a signal comes. Instances and gateway outlive it; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("trimtab").setLevel(logging.INFO)
    home = settings.home.absolute()
    database = choose_database(home, settings.database)
    with alongside(home) if settings.join else only_one(home):
        listening = _listen(settings.host, settings.port)
        return asyncio.run(Trimtab(home, listening, database, settings.public_url).serve(repository))


class Trimtab:
    """One controller of one installation: everything lives in `home`, or in `home` and a database elsewhere."""

    def __init__(
        self, home: Path, listening: socket.socket, database: str | None, public_url: str | None = None
    ) -> None:
        self.home, self._listening = home, listening
        host, port = listening.getsockname()[:2]
        self.url, self._token = f"http://{host}:{port}", token_of(home)
        self.public_url = (public_url or self.url).rstrip("/")
        self.ports = open_ports(home, database)
        self.me = this_controller(home, self.url, self.ports.clock.now())
        ensure_ours(self.me, self.ports.store.controllers(), self.ports.clock.now())
        if database is not None:
            remember_database(home, database)
        self.engine = wire(self.ports, home, self.me, self._be_found, self.public_url)

    async def serve(self, repository: Path | None) -> int:
        """Serve until SIGINT or SIGTERM (0), or until a defect felled a part of it (1)."""
        ports = self.ports
        services = Services(
            store=ports.store,
            clock=ports.clock,
            source=ports.source,
            artifacts=ports.artifacts,
            runtime=ports.runtime,
            processes=ports.processes,
            measurements=ports.measurements,
            git_http=ports.git_http,
            forges=ports.forges,
            forge_secrets=ports.forge_secrets,
            secret_store=ports.secret_store,
            token=self._token,
            url=self.url,
            public_url=self.public_url,
            version=__version__,
            wake=self.engine.wake,
            verify=self._verify,
            troubles=lambda: troubles(self.home, ports.store, ports.clock, self.engine.trouble),
            controllers=lambda: controllers(ports.store),
        )
        try:
            if repository is not None:
                await self._adopt(repository)
            await ports.gateway.start()
            if not found(self.home):
                self._be_found()
            fell = await self._answer(services)
        finally:
            with suppress(TrimtabError):
                ports.store.check_out(self.me.owner)
            await ports.close()
            forget(self.home, self.url)
        _say("Trimtab has stopped; gateway and instances go on serving. `trimtab down` stops them too.")
        return 1 if fell else 0

    async def _verify(self, app: str, release: Digest) -> VerificationView:
        damage = await asyncio.to_thread(self.ports.keys.damage)
        return await verified(app, release, trusting_of(self.ports), damage)

    def _be_found(self) -> None:
        """Commands and hooks turn to this controller from now on."""
        configure_hooks(self.home / "git", self.url, self._token)
        tell(self.home, self.url, self._token)

    async def _answer(self, services: Services) -> bool:
        """API, engine and housekeeping until a signal comes; whether one of them fell."""
        ports = self.ports
        server = _Server(
            uvicorn.Config(create_api(services), log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.leave)
        housekeeper = Housekeeper(
            ports.store, ports.artifacts, ports.processes, ports.source, ports.step_cache, ports.clock
        )
        watch = StateWatch(ports.state_repository, ports.clock, self.engine.wake)
        hearing = listen(ports.store, ports.clock, self.engine.wake)
        works = (self.engine.run(), housekeeper.run(), watch.run(), hearing, services.keep_board())
        background = [asyncio.create_task(work) for work in works]
        for task in background:
            task.add_done_callback(lambda done: _leave_when_it_fell(done, server))
        _say(f"Trimtab {__version__} is up: {self.url} (folder {self.home})")
        try:
            await server.serve(sockets=[self._listening])
        finally:
            for task in background:
                task.cancel()
            ends = await asyncio.gather(*background, return_exceptions=True)
        return any(isinstance(end, Exception) for end in ends)

    async def _adopt(self, repository: Path) -> None:
        """Register the application of the working directory and give its repository a remote to push to."""
        app = load_configuration((repository / "trimtab.yaml").read_text(), str(repository / "trimtab.yaml")).app
        await self.ports.source.create(app)
        fact = AppRegistered()
        recorded = Recorded(app_object(app), fact, reason=f"found in {repository.name}", key=f"registered/{app}")
        self.ports.store.append([recorded], self.ports.clock.now())
        place = self.url.removeprefix("http://")
        remote = f"http://{getpass.getuser()}:{self._token}@{place}/git/{app}.git"
        git = ["git", "-C", str(repository), "remote"]
        known = await asyncio.to_thread(subprocess.run, [*git, "get-url", REMOTE], capture_output=True)
        verb = "add" if known.returncode else "set-url"
        await asyncio.to_thread(subprocess.run, [*git, verb, REMOTE, remote], check=True, capture_output=True)
        _say(f"Deploy {app} with: git push {REMOTE} main")


def _leave_when_it_fell(task: asyncio.Task[None], server: _Server) -> None:
    """A controller must not go on without a part that a defect felled: whoever supervises it starts it again."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("a part of the controller fell, and so it stops", exc_info=error)
        server.leave()


def controllers(store: Store) -> tuple[ControllerView, ...]:
    """Who has checked in, and who of them leads."""
    plane = store.get(DATA_PLANE)
    leader = plane.owner if plane is not None else None
    return tuple(
        ControllerView(c.url, c.version, c.host.partition("/")[0], c.pid, c.started_at, c.seen_at, c.owner == leader)
        for c in store.controllers()
    )


class _Server(uvicorn.Server):
    """Leaves when it is told to. uvicorn's own way raises the signal once more, before we could tidy up."""

    def leave(self) -> None:
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((host, port), backlog=256)
    except OSError as error:
        hint = "choose another with --port, or stop what uses it"
        raise failure("port-taken", f"cannot listen: {error.strerror}", hint, f"{host}:{port}") from None
    # Connections inherit it. Without it, the second part of an answer waits 40 ms for the first one to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.set_inheritable(False)
    return listening


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
