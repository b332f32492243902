"""A changed prompt reaches the instances that run, step by step like any release; another program starts anew."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import httpx

from tests.e2e.world import Answers, World, users, wait_for
from trimtab import sdk
from trimtab.views.model import RolloutView

APP = '''
"""Answers by the prompt of each request's release, with the process that does; fails where the prompt says so."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import sdk

BUILD = "first build"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = "well" if self.path == "/healthz" else sdk.prompt("answer", self.headers).render(build=BUILD)
        flags = sdk.flags(self.headers)["flags"]
        said = f"{text} {','.join(flags)} {os.getpid()}".encode()
        self.send_response(500 if "broken" in text else 200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''
CANARY = "{canary: {scale_down_delay: 1s, steps: [{weight: 50%, hold: 10m, requests: 10}], deadline: 20m}}"
RELEASE = "release: {prompts: {answer: prompts/answer.txt}, flags: flags.json, hot: [prompts, flags]}"


class Hot:
    """The shop with a prompt and flags that need no restart."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.plant(strategy=CANARY, pipeline=RELEASE)
        (world.repository / "app.py").write_text(APP)
        shutil.copy(Path(sdk.__file__), world.repository / "sdk.py")
        (world.repository / "prompts").mkdir()
        world.up()

    def push(self, prompt: str, flag: str = "cite", build: str = "first build") -> str:
        (self.world.repository / "app.py").write_text(APP.replace("first build", build))
        (self.world.repository / "prompts" / "answer.txt").write_text(prompt + ": {{ build }}")
        (self.world.repository / "flags.json").write_text(f'{{"flags": {{"{flag}": {{"state": "ENABLED"}}}}}}')
        return self.world.push(version=1)

    def pids(self) -> set[int]:
        """The processes of the instances that run."""
        return {process.pid for process in self.world.processes("app.py") if process.name() != "sh"}

    def said(self, arm: str = "stable") -> str:
        return httpx.get(self.world.url, headers={"x-trimtab-arm": arm}, timeout=20.0).text

    def another(self, pid: int) -> int | None:
        """The process that answers, if it is another one."""
        now = self.said().rpartition(" ")[2]
        return int(now) if now.isdigit() and int(now) != pid else None

    def promote(self, commit: str) -> RolloutView:
        self.world.client.steer("shop", "production", "promote")
        return self.world.ended(commit)


def two(answers: Answers) -> bool:
    return len(answers.versions) == 2 and min(answers.versions.values()) > 20


def test_a_prompt_reaches_what_runs_as_a_release(world: World) -> None:
    hot = Hot(world)
    first = world.ended(hot.push("kind")).release
    world.live(first)
    (pid,) = hot.pids()
    assert hot.said() == f"kind: first build cite {pid}"

    with users(world.url) as answers:
        commit = hot.push("brief", "quote")
        world.observing(commit)
        wait_for(lambda: two(answers), why="both prompts are used")
        assert set(answers.versions) == {f"kind: first build cite {pid}", f"brief: first build quote {pid}"}
        hot.promote(commit)
        world.live(world.run(commit).release)  # type: ignore[union-attr]
        wait_for(lambda: len(world.client.status().instances["shop/production"]) == 1, why="the old one is retired")
    assert answers.bad == {}
    with users(world.url) as answers:
        wait_for(lambda: sum(answers.versions.values()) > 50, why="everybody has the new one")
    assert set(answers.versions) == {f"brief: first build quote {pid}"}
    assert hot.pids() == {pid}

    with users(world.url) as answers:
        commit = hot.push("broken", "quote")
        assert world.ended(commit).status == "rolled_back"
        world.live(world.production.live)
        assert hot.said() == f"brief: first build quote {pid}"
    worse = answers.versions.pop(f"broken: first build quote {pid}")
    assert answers.bad == {"500": worse}, "no other request failed"
    assert set(answers.versions) == {f"brief: first build quote {pid}"}
    assert hot.pids() == {pid}

    world.client.rollback("shop", "production", first)
    world.live(first)
    assert hot.said() == f"kind: first build cite {pid}", "as it was in the beginning, in the same process"


def test_an_instance_that_dies_comes_back_and_serves_both(world: World) -> None:
    hot = Hot(world)
    world.ended(hot.push("kind"))
    (pid,) = hot.pids()
    commit = hot.push("brief")
    world.observing(commit)
    os.kill(pid, signal.SIGKILL)
    again = wait_for(lambda: hot.another(pid), why="it is started again")
    for arm, prompt in (("stable", "kind"), ("candidate", "brief")):
        wait_for(lambda a=arm, p=prompt: hot.said(a) == f"{p}: first build cite {again}", why=f"{arm} is served")  # type: ignore[misc]
    world.kill_controller()
    world.up()
    assert world.observing(commit).status == "observing"
    assert hot.said("candidate") == f"brief: first build cite {again}", "the next controller finds what is shared"
    hot.promote(commit)
    world.live(world.run(commit).release)  # type: ignore[union-attr]
    assert hot.said() == f"brief: first build cite {again}"

    commit = hot.push("brief", build="second build")
    world.observing(commit)
    assert len(hot.pids()) == 2, "another program is started"
    hot.promote(commit)
    world.live(world.run(commit).release)  # type: ignore[union-attr]
    wait_for(lambda: len(hot.pids()) == 1, why="the old program ends")
    assert again not in hot.pids()
    assert hot.said().startswith("brief: second build cite ")
