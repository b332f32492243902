"""An application whose prompt and flags need no restart, in a whole Trimtab."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx

from tests.e2e.world import World
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

    def __init__(self, world: World, strategy: str = CANARY) -> None:
        self.world = world
        world.plant(strategy=strategy, pipeline=RELEASE)
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
