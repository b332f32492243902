"""The example `support-bot` in a world of its own: set up, changed as its history says, asked by users."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copy
from typing import Any

import httpx
import pytest

from tests.e2e.world import World

EXAMPLE = Path(__file__).parents[2] / "examples" / "support-bot"
DOCS = Path(__file__).parents[2] / "docs"
GOLDEN: dict[str, str] = json.loads((EXAMPLE / "checks" / "golden.json").read_text())
INSTALL = re.compile(r"python3 -m pip install .*--target vendor .*")
HISTORY = sorted((EXAMPLE / "history").glob("*.patch"))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that the example needs, from where this machine's pip has them."""
    folder = tmp_path_factory.mktemp("packages") / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), "-r", str(EXAMPLE / "requirements.txt")], check=True)
    return folder


def set_up(world: World, packages: Path) -> None:
    """The example as the world's application, with those documents only that its questions are about. Packages are
    beside the release: where they come from may be part of this machine's own settings for pip, and they are large."""
    documents = world.folder / "documents"
    for name in set(GOLDEN.values()):
        target = documents / Path(name).relative_to("documents")
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(DOCS / Path(name).relative_to("documents"), target)
    words = [sys.executable, str(EXAMPLE / "set_up.py"), str(world.repository), str(documents)]
    subprocess.run(words, check=True, capture_output=True)
    settings = world.repository / "trimtab.yaml"
    text = settings.read_text()
    for old, new in {
        "app: support-bot": "app: shop",
        "port: 8080": f"port: {world.port}",
        "    env: {PYTHONPATH: vendor}": f"    env: {{PYTHONPATH: {packages}}}\n    sandbox: {{read: [{packages}]}}",
        "  env: {PYTHONPATH: vendor}": f"  env: {{PYTHONPATH: {packages}}}",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    text, found = INSTALL.subn("mkdir vendor && touch vendor/empty", text)
    assert found == 1
    settings.write_text(text)


def commit(world: World, patch: Path | None = None) -> str:
    """Commit what is there, or what the patch says, and push it; the commit."""
    if patch is None:
        world.git("add", "--all")
        world.git("commit", "--quiet", "--message", "Answer from the documents")
    else:
        world.git("am", "--quiet", str(patch))
    world.git("push", "--quiet", "trimtab", "main")
    return world.git("rev-parse", "HEAD")


def said(world: World, *words: str) -> str:
    """What the command line says."""
    done = subprocess.run(
        [sys.executable, "-m", "trimtab.cli.main", *words, "--home", str(world.home)],
        cwd=world.repository,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(world: World, question: str) -> dict[str, Any]:
    answer = httpx.post(f"{world.url}/ask", json={"question": question}, timeout=60.0)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


@dataclass
class Asked:
    """How often users were answered with what status, and by which model."""

    statuses: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)


@contextmanager
def users(world: World, number: int, pause_s: float) -> Iterator[Asked]:
    """Users that ask the golden questions until the block ends."""
    asked, leaving = Asked(), threading.Event()

    def go(first: int) -> None:
        questions = [*GOLDEN][first:] + [*GOLDEN][:first]
        with httpx.Client(timeout=60.0) as client:
            while not leaving.is_set():
                for question in questions:
                    try:
                        answer = client.post(f"{world.url}/ask", json={"question": question})
                        asked.statuses[str(answer.status_code)] += 1
                        asked.models[answer.json().get("model", "")] += 1
                    except httpx.HTTPError as error:
                        asked.statuses[type(error).__name__] += 1
                    if leaving.wait(pause_s):
                        return

    threads = [threading.Thread(target=go, args=[at * 4 % len(GOLDEN)], daemon=True) for at in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        leaving.set()
        for thread in threads:
            thread.join()
