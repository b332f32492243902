"""A whole Trimtab for a test: the real program in processes of its own, a real repository, real requests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from tests.processes import living
from trimtab.client import TrimtabClient
from trimtab.views.model import EnvironmentView, RolloutView, RunView

T = TypeVar("T")

SHOP = Path(__file__).parent / "shop"
AUTHOR = ("-c", "user.name=Tester", "-c", "user.email=tester@localhost", "-c", "commit.gpgsign=false")

CANARY = """
app: shop
{pipeline}
service:
  command: {command}
  health: {{path: /healthz, timeout: {health_timeout}}}
  drain: 40s
environments:
  production:
    port: {port}
    strategy: {strategy}
    analysis: {analysis}
{more}
"""
ANALYSIS = "{errors: {acceptable: 5%}, latency: false}"
FAST_CANARY = "{canary: {steps: [{weight: 20%, hold: 1s, requests: 10}, {weight: 50%, hold: 1s, requests: 20}]}}"
LONG_CANARY = "{canary: {steps: [{weight: 50%, hold: 10m, requests: 10}], deadline: 20m}}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], T | None], *, within_s: float = 40.0, why: str = "") -> T:
    """The first answer of `what` that is neither None nor False."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = what()
        if answer is not None and answer is not False:
            return answer
        time.sleep(0.03)
    raise AssertionError(f"did not happen within {within_s:g} s: {why or what}")


@dataclass
class World:
    """One installation in `folder` with one application, `shop`."""

    folder: Path
    port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    controller: subprocess.Popen[bytes] | None = None
    _client: TrimtabClient | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def repository(self) -> Path:
        return self.folder / "shop"

    @property
    def client(self) -> TrimtabClient:
        assert self._client is not None
        return self._client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # --- the installation ---

    def up(self) -> None:
        """Start the controller and wait until it answers."""
        api = self.home / "api.json"
        api.unlink(missing_ok=True)
        words = ["up", "--home", str(self.home), "--port", str(self.api_port)]
        with (self.folder / "up.log").open("ab") as log:
            self.controller = subprocess.Popen(
                [sys.executable, "-m", "trimtab.cli.main", *words],
                cwd=self.repository,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: self._alive() and api.exists(), why="the controller starts")
        said = json.loads(api.read_text())
        self._client = TrimtabClient(said["url"], said["token"], actor="tester")
        wait_for(self._answers, why="the API answers")

    def _alive(self) -> bool:
        assert self.controller is not None
        assert self.controller.poll() is None, (self.folder / "up.log").read_text()
        return True

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.api_port}/healthz").is_success
        except httpx.HTTPError:
            return False

    def kill_controller(self) -> None:
        assert self.controller is not None
        self.controller.kill()
        self.controller.wait()

    def down(self) -> None:
        """Stop everything; what the test left of the controller first."""
        if self.controller is not None and self.controller.poll() is None:
            self.controller.send_signal(signal.SIGCONT)
        words = [sys.executable, "-m", "trimtab.cli.main", "down", "--home", str(self.home)]
        subprocess.run(words, capture_output=True, timeout=60)
        if self.controller is not None:
            self.controller.kill()
            self.controller.wait()

    def processes(self, marker: str = "") -> list[psutil.Process]:
        """The live processes that belong to this installation and have `marker` in their command line."""
        return living(self.home, marker)

    # --- the application ---

    def plant(self, **settings: str) -> None:
        """Make the application's repository."""
        shutil.copytree(SHOP, self.repository)
        self.git("init", "--quiet", "--initial-branch=main")
        self.configure(**settings)

    def configure(
        self,
        *,
        strategy: str = FAST_CANARY,
        command: str = f"{sys.executable} app.py",
        pipeline: str = "",
        health_timeout: str = "20s",
        analysis: str = ANALYSIS,
        more: str = "",
    ) -> None:
        """`more`: further settings of production, a line each."""
        text = CANARY.format(
            strategy=strategy,
            command=command,
            pipeline=pipeline,
            health_timeout=health_timeout,
            port=self.port,
            analysis=analysis,
            more=textwrap.indent(more, "    "),
        )
        (self.repository / "trimtab.yaml").write_text(text)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        done = subprocess.run(["git", *AUTHOR, *words], cwd=cwd or self.repository, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def push(self, **behaviour: float | str) -> str:
        """Commit a version with this behaviour and push it; the commit."""
        (self.repository / "behaviour.json").write_text(json.dumps(behaviour))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Behave as {behaviour}")
        self.git("push", "--quiet", "trimtab", "main")
        return self.git("rev-parse", "HEAD")

    def clone_state(self) -> Path:
        """A fresh clone of the state repository."""
        remote = self.git("remote", "get-url", "trimtab").replace("/shop.git", "/state.git")
        clone = self.folder / "state"
        shutil.rmtree(clone, ignore_errors=True)
        self.git("clone", "--quiet", remote, str(clone))
        return clone

    # --- what one sees ---

    def run(self, commit: str) -> RunView | None:
        return next((run for run in self.client.runs("shop") if run.change.commit == commit), None)

    def finished(self, commit: str) -> RunView:
        """The commit's run, once it has finished."""

        def look() -> RunView | None:
            run = self.run(commit)
            return run if run is not None and run.status != "running" else None

        return wait_for(look, why=f"the run of {commit[:8]} finishes")

    def rollout_of(self, commit: str) -> RolloutView | None:
        run = self.run(commit)
        rollouts = self.client.rollouts("shop", "production") if run is not None and run.release else ()
        return next((rollout for rollout in rollouts if run and rollout.release == run.release), None)

    def ended(self, commit: str, within_s: float = 60.0) -> RolloutView:
        """The newest rollout of the commit's release, once it has ended. At once an error if there will be none."""

        def look() -> RolloutView | None:
            run = self.run(commit)
            assert run is None or run.status != "failed", run.steps
            rollout = self.rollout_of(commit)
            return rollout if rollout is not None and rollout.ended else None

        return wait_for(look, within_s=within_s, why=f"the rollout of {commit[:8]} ends")

    def observing(self, commit: str) -> RolloutView:
        """The commit's rollout, once its share was verified."""

        def look() -> RolloutView | None:
            rollout = self.rollout_of(commit)
            return rollout if rollout is not None and rollout.status == "observing" else None

        return wait_for(look, why=f"the canary of {commit[:8]} gets its share")

    @property
    def production(self) -> EnvironmentView:
        return self.client.environment("shop", "production")

    def live(self, release: str | None) -> None:
        """Wait until the release is live and Git says so, too, with nothing on its way."""

        def look() -> bool:
            place = self.production
            return place.live == release == place.desired and (place.rollout is None or place.rollout.ended)

        wait_for(look, why=f"{release} is live")

    def desired_log(self) -> list[str]:
        """The subjects of the state repository's commits, oldest first."""
        log = self.git("--git-dir", str(self.home / "git" / "state.git"), "log", "--reverse", "--format=%s", "main")
        return log.splitlines()


@dataclass
class Answers:
    """What the users got: status codes (or the error's name) and the versions that answered."""

    statuses: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    last_s: dict[str, float] = field(default_factory=dict)
    """When (monotonic seconds) each version answered last."""

    @property
    def bad(self) -> dict[str, int]:
        return {status: number for status, number in self.statuses.items() if status != "200"}


@contextmanager
def users(
    url: str, *, number: int = 4, pause_s: float = 0.01, headers: Mapping[str, str] | None = None
) -> Iterator[Answers]:
    """Users that ask one thing after the other until the block ends."""
    answers, leaving = Answers(), threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=10.0, headers=headers) as client:
            while not leaving.is_set():
                try:
                    answer = client.get(url)
                    answers.statuses[str(answer.status_code)] += 1
                    answers.versions[answer.text] += 1
                    answers.last_s[answer.text] = time.monotonic()
                except httpx.HTTPError as error:
                    answers.statuses[type(error).__name__] += 1
                leaving.wait(pause_s)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        leaving.set()
        for thread in threads:
            thread.join()


def whole_stream(url: str) -> str:
    """Everything an event stream says until it ends; raises when it is cut."""
    with httpx.stream("GET", url, timeout=120.0) as answer:
        answer.raise_for_status()
        return "".join(answer.iter_text())


def end(process: psutil.Process) -> None:
    """kill -9 of exactly this process."""
    os.kill(process.pid, signal.SIGKILL)
