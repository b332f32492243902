"""A developer's folder, and `trimtab run` in it: the real program, no server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.world import AUTHOR, wait_for
from tests.processes import living

REST = """
service: {command: python app.py}
environments: {production: {port: 9999}}
"""
RUN = (sys.executable, "-m", "trimtab.cli.main", "run")


@dataclass
class Laptop:
    """`folder` has the repository and what is kept of its runs."""

    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    """Further variables of the command's environment."""

    @property
    def top(self) -> Path:
        return self.folder / "shop"

    @property
    def kept(self) -> Path:
        """What is kept of the runs."""
        return next((self.folder / "cache" / "trimtab" / "run").iterdir())

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache"), **self.more}

    def plant(self, pipeline: str, rest: str = REST, **files: str) -> None:
        """A repository with one commit."""
        self.top.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write(**files)
        self.configure(pipeline, rest)
        self.save()

    def configure(self, pipeline: str, rest: str = REST) -> None:
        (self.top / "trimtab.yaml").write_text(f"app: shop\npipeline:\n{pipeline}\n{rest}")

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.top / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def save(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Save")
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *AUTHOR, *words], cwd=self.top, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*RUN, *words], cwd=self.top, env=self.env, capture_output=True, text=True, timeout=100)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """The same, while it goes on."""
        return subprocess.Popen(
            [*RUN, *words],
            cwd=self.top,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def fine(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def steps(self, *words: str, code: int = 0) -> dict[str, str]:
        """Run; how each step went."""
        done = self.run("--json", *words)
        assert done.returncode == code, done.stdout + done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return {step["name"]: step["status"] for step in said["run"]["steps"]}

    def processes(self) -> list[psutil.Process]:
        """What runs for it, but for the command itself."""
        return living(self.folder / "cache")


@contextmanager
def tidied(laptop: Laptop) -> Iterator[Laptop]:
    """The laptop; nothing of it is left afterwards."""
    try:
        yield laptop
    finally:
        for process in laptop.processes():
            process.kill()
        wait_for(lambda: not laptop.processes(), why="no process is left")
        shutil.rmtree(laptop.folder, ignore_errors=True)
