"""The demo's stage: a real Trimtab in a folder of its own, a real repository, and real requests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from trimtab.client import TrimtabClient
from trimtab.core.errors import failure
from trimtab.demo.ports import free_ports
from trimtab.demo.show import Show, git

START_WITHIN_S = 60.0


class Stage:
    """Everything that runs during a show. `seconds` bounds how long the users keep asking."""

    def __init__(self, show: Show, folder: Path, seconds: float) -> None:
        self.show = show
        self.folder, self.repository, self.home = folder, folder / show.app, folder / "home"
        self.production_port = 0
        self._seconds = seconds
        self._processes: list[subprocess.Popen[bytes]] = []
        self._client: TrimtabClient | None = None

    @property
    def client(self) -> TrimtabClient:
        if self._client is None:
            raise RuntimeError("the stage is not open")
        return self._client

    @property
    def address(self) -> str:
        """Where users ask."""
        return f"http://127.0.0.1:{self.production_port}"

    def open(self) -> None:
        """Plant the repository and start Trimtab on it, both on ports that are free."""
        self.show.prepare(self.folder)
        staging, self.production_port, api = free_ports(3)
        self.show.plant(self.repository, staging, self.production_port)
        with (self.folder / "trimtab.log").open("wb") as log:
            self._start(
                ["-m", "trimtab.cli.main", "up", "--home", str(self.home), "--port", str(api)], log=log.fileno()
            )
        self._client = self._connect()

    def send_users(self) -> None:
        """Start the stream of requests to production."""
        self._start(self.show.users(self.address, self._seconds))

    def push(self, number: int) -> str:
        """Commit a chapter and push it; the commit's id."""
        commit = self.show.commit(self.repository, number)
        git(self.repository, "push", "--quiet", "trimtab", "main")
        return commit

    def ask(self) -> str:
        """What production says, if the show asks it anything."""
        return self.show.ask(self.address)

    def changed(self, release: str, before: str) -> str:
        """What `trimtab diff` says of a release against the one before."""
        words = ["-m", "trimtab.cli.main", "diff", release, before, "--home", str(self.home)]
        done = subprocess.run([sys.executable, *words], cwd=self.repository, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else done.stderr

    def close(self) -> None:
        """End everything that was started, wait for it, and remove the folder."""
        for process in reversed(self._processes[1:]):
            process.terminate()
            process.wait()
        if self.home.exists():
            down = [sys.executable, "-m", "trimtab.cli.main", "down", "--home", str(self.home)]
            subprocess.run(down, capture_output=True, check=False)
        for process in self._processes[:1]:
            process.wait()
        self.show.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def how_to_explore(self) -> str:
        command = f"{Path(sys.executable).with_name('trimtab')} --home {self.home}"
        return (
            "\nEverything keeps running (the users leave after an hour, or when you stop it):\n"
            f"  cd {self.repository}\n"
            f"  {command} status\n"
            f"  {command} history --why\n"
            f"  {self.show.how_to_ask(self.address)}\n"
            f"Stop it with:\n  {command} down"
        )

    def _start(self, words: list[str], log: int = subprocess.DEVNULL) -> None:
        """A Python process in a session of its own: Ctrl-C reaches the demo only, which then tidies up."""
        self._processes.append(
            subprocess.Popen(
                [sys.executable, *words],
                cwd=self.repository,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        )

    def _connect(self) -> TrimtabClient:
        """A client, once Trimtab has said where it listens."""
        deadline = time.monotonic() + START_WITHIN_S
        known = self.home / "api.json"
        while not known.exists():
            if self._processes[0].poll() is not None or time.monotonic() > deadline:
                log = (self.folder / "trimtab.log").read_text()
                raise failure("demo", "Trimtab did not start", log.strip()[-2000:])
            time.sleep(0.05)
        said = json.loads(known.read_text())
        return TrimtabClient(said["url"], said["token"], actor="demo")
