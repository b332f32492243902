"""`trimtab up`: controller, gateway and API of one folder, until a signal comes."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from trimtab import __version__
from trimtab.adapters.git import configure_hooks
from trimtab.api.server import create_api
from trimtab.api.services import Services
from trimtab.app.folder import only_one, token_of, write_private
from trimtab.app.ports import open_ports
from trimtab.app.troubles import troubles
from trimtab.app.wiring import wire
from trimtab.config.loading import load as load_configuration
from trimtab.core.errors import failure
from trimtab.core.model.facts import AppRegistered, Recorded
from trimtab.core.model.identity import app_object
from trimtab.engine.housekeeping import Housekeeper
from trimtab.engine.watch import StateWatch

REMOTE = "trimtab"
OWNER = "controller"
"""One controller at a time holds a folder (by its lock), so each finds the leases of the one before to be its own."""


def serve(home: Path, host: str, port: int, repository: Path | None) -> int:
    """Run controller, gateway and API until a signal comes. Instances and gateway outlive it; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("trimtab").setLevel(logging.INFO)
    home = home.absolute()
    with only_one(home):
        asyncio.run(Trimtab(home).serve(_listen(host, port), repository))
    return 0


class Trimtab:
    """One installation: everything lives in `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports = open_ports(home)
        self.engine = wire(self.ports, home, OWNER)

    async def serve(self, listening: socket.socket, repository: Path | None) -> None:
        """Serve until SIGINT or SIGTERM."""
        host, port = listening.getsockname()[:2]
        url, token = f"http://{host}:{port}", token_of(self.home)
        ports = self.ports
        configure_hooks(self.home / "git", url, token)
        services = Services(
            store=ports.store,
            clock=ports.clock,
            source=ports.source,
            artifacts=ports.artifacts,
            runtime=ports.runtime,
            processes=ports.processes,
            measurements=ports.measurements,
            git_http=ports.git_http,
            token=token,
            url=url,
            version=__version__,
            wake=self.engine.wake,
            troubles=lambda: troubles(self.home, ports.store, ports.clock, self.engine.trouble),
        )
        try:
            if repository is not None:
                await self._adopt(repository, url, token)
            await ports.gateway.start()
            write_private(self.home / "api.json", json.dumps({"url": url, "token": token, "pid": os.getpid()}))
            await self._answer(services, listening, url)
        finally:
            await ports.close()
            (self.home / "api.json").unlink(missing_ok=True)
        _say("Trimtab has stopped; gateway and instances go on serving. `trimtab down` stops them too.")

    async def _answer(self, services: Services, listening: socket.socket, url: str) -> None:
        """API, engine and housekeeping until a signal comes."""
        ports = self.ports
        server = _Server(
            uvicorn.Config(create_api(services), log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.leave)
        housekeeper = Housekeeper(ports.store, ports.artifacts, ports.processes, ports.source, ports.clock)
        watch = StateWatch(ports.state_repository, ports.clock, self.engine.wake)
        works = (self.engine.run(), housekeeper.run(), watch.run(), services.keep_board())
        background = [asyncio.create_task(work) for work in works]
        _say(f"Trimtab {__version__} is up: {url} (folder {self.home})")
        try:
            await server.serve(sockets=[listening])
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    async def _adopt(self, repository: Path, url: str, token: str) -> None:
        """Register the application of the working directory and give its repository a remote to push to."""
        app = load_configuration((repository / "trimtab.yaml").read_text(), str(repository / "trimtab.yaml")).app
        await self.ports.source.create(app)
        fact = AppRegistered()
        recorded = Recorded(app_object(app), fact, reason=f"found in {repository.name}", key=f"registered/{app}")
        self.ports.store.append([recorded], self.ports.clock.now())
        remote = f"http://{getpass.getuser()}:{token}@{url.removeprefix('http://')}/git/{app}.git"
        git = ["git", "-C", str(repository), "remote"]
        known = await asyncio.to_thread(subprocess.run, [*git, "get-url", REMOTE], capture_output=True)
        verb = "add" if known.returncode else "set-url"
        await asyncio.to_thread(subprocess.run, [*git, verb, REMOTE, remote], check=True, capture_output=True)
        _say(f"Deploy {app} with: git push {REMOTE} main")


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
    listening.set_inheritable(False)
    return listening


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
