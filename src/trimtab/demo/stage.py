"""The demo's stage: a real Trimtab in a folder of its own, a real repository, and real requests."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from trimtab.client import TrimtabClient
from trimtab.core.errors import failure
from trimtab.demo import story

REQUESTS_PER_S = 100.0
START_WITHIN_S = 60.0


class Stage:
    """Everything that runs during the demo. `seconds` bounds how long the users keep asking."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.repository, self.home = folder, folder / "assistant", folder / "home"
        self.production_port = 0
        self._seconds = seconds
        self._processes: list[subprocess.Popen[bytes]] = []
        self._client: TrimtabClient | None = None

    @property
    def client(self) -> TrimtabClient:
        if self._client is None:
            raise RuntimeError("the stage is not open")
        return self._client

    def open(self) -> None:
        """Plant the repository and start Trimtab on it, both on ports that are free."""
        staging, self.production_port, api = _free_ports(3)
        story.plant(self.repository, staging, self.production_port)
        with (self.folder / "trimtab.log").open("wb") as log:
            self._start(
                ["-m", "trimtab.cli.main", "up", "--home", str(self.home), "--port", str(api)], log=log.fileno()
            )
        self._client = self._connect()

    def send_users(self) -> None:
        """Start the stream of requests to production."""
        url = f"http://127.0.0.1:{self.production_port}/ask"
        self._start(["-m", "trimtab.demo.traffic", url, str(REQUESTS_PER_S), str(self._seconds)])

    def push(self, chapter: story.Chapter) -> str:
        """Edit, commit and push; the commit's id."""
        story.apply(self.repository, chapter)
        commit = story.commit(self.repository, chapter.subject)
        story.git(self.repository, "push", "--quiet", "trimtab", "main")
        return commit

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
        shutil.rmtree(self.folder, ignore_errors=True)

    def how_to_explore(self) -> str:
        command = f"{Path(sys.executable).with_name('trimtab')} --home {self.home}"
        return (
            "\nEverything keeps running (the users leave after an hour, or when you stop it):\n"
            f"  cd {self.repository}\n"
            f"  {command} status\n"
            f"  {command} history --why\n"
            f"  curl 'http://127.0.0.1:{self.production_port}/ask?q=when+is+delivery'\n"
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


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
