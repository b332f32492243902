"""A real registry for tests: Debian's `docker-registry`, CNCF Distribution, on a free port of loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.programs import install, missing

_CONFIG = """
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}", secret: the same for all lives}}
"""


def needed_program() -> str:
    program = Path("/usr/bin/docker-registry")
    if not program.exists():
        install("docker-registry")
    if not program.exists():
        missing("docker-registry")
    return str(program)


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """``127.0.0.1:PORT``."""
    folder.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "config.yml"
    settings.write_text(_CONFIG.format(folder=folder / "data", port=port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([needed_program(), "serve", str(settings)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/").is_success
    except httpx.HTTPError:
        return False
