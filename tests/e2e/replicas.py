"""Several controllers on one folder, for a test: each is a real `trimtab up --join`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from tests.e2e.world import World, wait_for
from trimtab.client import TrimtabClient


@dataclass
class Replicas(World):
    """An installation of several controllers. `database`: a URL, if the store is not in the folder. `through`: words
    before the command of a controller, by its name (`ip netns exec ...`)."""

    database: str | None = None
    through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    """The database's URL for a controller that has another way to it."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def join(self, *names: str) -> None:
        """Start controllers that join; returns when each holds the folder's lock with the others."""
        for name in names:
            url = self.databases.get(name, self.database)
            words = ["up", "--join", "--home", str(self.home), "--port", "0"]
            words += ["--database", url] if url else []
            self.home.mkdir(mode=0o700, exist_ok=True)
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    [*self.through.get(name, ()), sys.executable, "-m", "trimtab.cli.main", *words],
                    cwd=self.repository,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            wait_for(lambda name=name: " is up: " in self.log(name), why=f"{name} is up")  # type: ignore[misc]
        self.meet()

    def meet(self) -> None:
        """Turn to the controller that commands find."""
        said = wait_for(self._told, why="somebody is found")
        self._client = TrimtabClient(str(said["url"]), str(said["token"]), actor="tester")

    def _told(self) -> dict[str, object] | None:
        with suppress(OSError, ValueError):
            said: dict[str, object] = json.loads((self.home / "api.json").read_text())
            return said if psutil.pid_exists(int(str(said["pid"]))) else None
        return None

    def log(self, name: str) -> str:
        with suppress(OSError):
            return (self.folder / f"{name}.log").read_text()
        return ""

    def pid(self, name: str) -> int:
        return self.running[name].pid

    @property
    def leader(self) -> str | None:
        """Who told the commands to turn to it: whoever has begun to lead does."""
        said = self._told()
        return next((name for name, process in self.running.items() if said and process.pid == said["pid"]), None)

    def leads(self, *others: str) -> str:
        """The name of the leader, once it is one of these."""
        return wait_for(lambda: (self.leader in others and self.leader) or None, why=f"one of {others} leads")

    def send(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pid(name), number)

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def down(self) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        super().down()
        for process in self.running.values():
            process.kill()
            process.wait()

    # --- what a data plane was told ---

    @property
    def hand(self) -> int:
        """The fence under which the gateway is moved."""
        return int((self.home / "gateway" / "hand").read_text())

    def told(self) -> dict[str, bytes]:
        """Everything that a controller may have written for the gateway or for Git."""
        xds = sorted((self.home / "gateway" / "xds").rglob("*.json"))
        head = self.git("--git-dir", str(self.home / "git" / "state.git"), "rev-parse", "main")
        return {"head": head.encode(), "hand": str(self.hand).encode(), **{str(p): p.read_bytes() for p in xds}}


@contextmanager
def paused(world: Replicas, name: str) -> Iterator[None]:
    world.send(name, signal.SIGSTOP)
    try:
        yield
    finally:
        world.send(name, signal.SIGCONT)
