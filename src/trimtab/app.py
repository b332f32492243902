"""The only place where concrete things meet: ports get their adapters, the engine its ports, the API its services."""

from __future__ import annotations

import asyncio
import fcntl
import getpass
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from trimtab import __version__
from trimtab.adapters import gates
from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.calendar import RuleCalendar
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.envoy.gateway import EnvoyGateway
from trimtab.adapters.git import GitHttpBackend, GitSource, GitStateRepository, configure_hooks
from trimtab.adapters.measurements import MeasurementReader
from trimtab.adapters.processes.runtime import ProcessRuntime
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.adapters.store_sql.store import SqliteStore
from trimtab.api.server import create_api
from trimtab.api.services import Services
from trimtab.codec import decode_state
from trimtab.config.loading import load as load_configuration
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.facts import AppRegistered, Recorded
from trimtab.core.model.identity import Digest, EnvironmentId, app_object
from trimtab.core.model.strategy import GateSpec
from trimtab.engine.delivery import Delivery, GateCommand
from trimtab.engine.groups import Peers
from trimtab.engine.housekeeping import Housekeeper
from trimtab.engine.loop import Engine, Kind
from trimtab.engine.observe import Applications, Environments, Rollouts, Runs
from trimtab.engine.pipeline import Pipeline

REMOTE = "trimtab"
OWNER = "controller"
"""One controller at a time holds a folder (by its lock), so each finds the leases of the one before to be its own."""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_CERT")
"""What steps and instances get of the controller's own environment."""


def serve(home: Path, host: str, port: int, repository: Path | None) -> int:
    """Run controller, gateway and API until a signal comes. Instances and gateway outlive it; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("trimtab").setLevel(logging.INFO)
    home = home.absolute()
    with _only_one(home):
        asyncio.run(Trimtab(home).serve(_listen(host, port), repository))
    return 0


def down(home: Path) -> int:
    """Stop the controller if it runs, then every instance, step and the gateway; how many processes were stopped."""
    home = home.absolute()
    _stop_controller(home)
    with _only_one(home):
        return asyncio.run(_stop_processes(home))


@dataclass(frozen=True, slots=True)
class Ports:
    """The adapters of one folder."""

    clock: SystemClock
    store: SqliteStore
    source: GitSource
    state_repository: GitStateRepository
    git_http: GitHttpBackend
    artifacts: FileArtifacts
    processes: SupervisedProcesses
    runtime: ProcessRuntime
    gateway: EnvoyGateway
    measurements: MeasurementReader

    async def close(self) -> None:
        """Let go of everything; what runs under supervisors goes on."""
        await self.measurements.close()
        await self.git_http.aclose()
        await self.gateway.close()
        await self.runtime.close()
        await self.processes.close()
        self.store.close()


def open_ports(home: Path) -> Ports:
    """The adapters over everything that is kept in `home`."""
    clock = SystemClock()
    processes = SupervisedProcesses(home / "processes")
    return Ports(
        clock=clock,
        store=SqliteStore(home / "trimtab.db"),
        source=GitSource(home / "git"),
        state_repository=GitStateRepository(home / "git"),
        git_http=GitHttpBackend(home / "git"),
        artifacts=FileArtifacts(home / "artifacts"),
        processes=processes,
        runtime=ProcessRuntime(home / "instances", processes, clock),
        gateway=EnvoyGateway(home / "gateway", processes, clock),
        measurements=MeasurementReader(clock),
    )


class Trimtab:
    """One installation: everything lives in `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports = open_ports(home)
        self.engine = self._engine()

    def _engine(self) -> Engine:
        ports = self.ports
        pipeline = Pipeline(
            source=ports.source,
            processes=ports.processes,
            artifacts=ports.artifacts,
            compile=load_configuration,
            workspaces=self.home / "workspaces",
            step_env={**passed_on(), "CI": "true"},
        )
        delivery = Delivery(
            state_repository=ports.state_repository,
            artifacts=ports.artifacts,
            runtime=ports.runtime,
            traffic=ports.gateway,
            processes=ports.processes,
            clock=ports.clock,
            retiring=self._retiring,
            gate_command=_gate_command,
        )
        engine = Engine(
            store=ports.store,
            clock=ports.clock,
            traffic=ports.gateway,
            kinds=_kinds(ports),
            handlers={**pipeline.handlers(), **delivery.handlers()},
            owner=OWNER,
        )
        ports.processes.on_change(lambda name: engine.wake(_waits_for(name)))
        return engine

    def _retiring(self, environment: EnvironmentId) -> tuple[Digest, ...]:
        row = self.ports.store.get(environment.object_id)
        return decode_state(EnvironmentState, row.state).retiring if row and row.state else ()

    async def serve(self, listening: socket.socket, repository: Path | None) -> None:
        """Serve until SIGINT or SIGTERM."""
        host, port = listening.getsockname()[:2]
        url, token = f"http://{host}:{port}", _token(self.home)
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
        )
        try:
            if repository is not None:
                await self._adopt(repository, url, token)
            await ports.gateway.start()
            _write_private(self.home / "api.json", json.dumps({"url": url, "token": token, "pid": os.getpid()}))
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
        background = [asyncio.create_task(self.engine.run()), asyncio.create_task(housekeeper.run())]
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


def _kinds(ports: Ports) -> dict[str, Kind]:
    """What is decided about, and who looks at the world for it."""
    gateway, runtime, processes = ports.gateway, ports.runtime, ports.processes
    return {
        "app": Applications(ports.source),
        "run": Runs(processes),
        "env": Environments(ports.state_repository, ports.artifacts, gateway, runtime, gateway, RuleCalendar()),
        "rollout": Rollouts(gateway, gateway, runtime, processes, ports.measurements, Peers(ports.store)),
    }


def passed_on() -> Mapping[str, str]:
    """The part of our own environment that steps and instances get; the interpreter in use comes first on the path."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the folder's lock: two controllers on one folder would act against each other."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "choose another folder with --home"
        raise failure("home-unwritable", f"{error.strerror}", hint, str(home)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hint = "`trimtab status` talks to it; `trimtab down` stops it"
        raise failure("already-running", "Trimtab runs already", hint, str(home)) from None
    try:
        yield
    finally:
        os.close(handle)


def _listen(host: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((host, port), backlog=256)
    except OSError as error:
        hint = "choose another with --port, or stop what uses it"
        raise failure("port-taken", f"cannot listen: {error.strerror}", hint, f"{host}:{port}") from None
    listening.set_inheritable(False)
    return listening


def _token(home: Path) -> str:
    """The installation's token, made once."""
    path = home / "token"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _stop_controller(home: Path) -> None:
    """SIGTERM to the controller that holds the folder; returns when it has let go of it."""
    try:
        pid = int(json.loads((home / "api.json").read_text())["pid"])
        lock = os.open(home / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (OSError, ValueError, KeyError):
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.kill(pid, signal.SIGTERM)
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


async def _stop_processes(home: Path) -> int:
    """Stop what a controller left running: the gateway last, so that requests are answered until the end."""
    ports = open_ports(home)
    alive = [p.name for p in await ports.processes.list("") if p.phase not in ("exited", "lost")]
    gateway = [name for name in alive if name.startswith("gateway")]
    others = [name for name in alive if name not in gateway]
    await asyncio.gather(*(ports.processes.stop(name) for name in others))
    await asyncio.gather(*(ports.processes.stop(name) for name in gateway))
    await ports.close()
    return len(alive)


def _waits_for(process: str) -> str | None:
    """The object that waits for a process: a step's run, a gate's rollout."""
    kind, _, rest = process.partition("/")
    pieces = rest.split("/")
    return {"step": f"run/{'/'.join(pieces[:2])}", "gate": f"rollout/{'/'.join(pieces[:3])}"}.get(kind)


def _gate_command(gate: GateSpec) -> GateCommand:
    return GateCommand(gates.argv(gate), {**passed_on(), **gates.variables(gate)})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


__all__ = ["Ports", "Trimtab", "TrimtabError", "down", "open_ports", "passed_on", "serve"]
