"""A throw-away PostgreSQL server for tests: the fixture `postgres_url`.

It needs the server's programs (`initdb`, `pg_ctl`).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.programs import install, missing


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a database that one may do anything with, for as long as the tests run."""
    with running(needed_programs()) as url:
        yield url


def needed_programs() -> Path:
    """The folder of the server's programs, installed if that is possible; else the test ends."""
    if find_programs() is None:
        install("postgresql")
    programs = find_programs()
    if programs is None:
        missing("postgresql")
    assert programs is not None
    return programs


def find_programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`: that of pg_config, Debian's newest, or one of PATH."""
    folders: list[Path] = []
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True).stdout.strip()
        folders += [Path(said)] if said else []
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    folders += [Path(found).parent for found in (shutil.which("initdb"),) if found]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@contextmanager
def running(programs: Path, addresses: Sequence[str] = ("127.0.0.1",), inside: Sequence[str] = ()) -> Iterator[str]:
    """A server on a free port, with its data in a folder that goes with it; the URL by its first address. It refuses to
    run as root, so root starts it as the user postgres. `inside`: words before a command that is to run where the
    server does (for root only)."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    options: dict[str, Any] = {"cwd": folder, "check": True, "capture_output": True}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        options |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    data, port = folder / "data", _free_port()
    control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-w"]
    try:
        made: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "app",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(made, **options)
        with (data / "pg_hba.conf").open("a") as rules:
            rules.writelines(f"host all all {address}/24 trust\n" for address in addresses)
        settings = f"-p {port} -k {folder} -c listen_addresses={','.join(addresses)} -c fsync=off"
        starting: list[str | Path] = [*control, "-l", folder / "log", "-o", settings, "start"]
        if inside:
            as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
            subprocess.run([*inside, *as_postgres, *starting], cwd=folder, check=True, capture_output=True)
        else:
            subprocess.run(starting, **options)
        try:
            yield f"postgresql://app@{addresses[0]}:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
