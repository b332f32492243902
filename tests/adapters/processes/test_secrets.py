"""Secrets of real processes: where they are, and where they must never be."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.processes.bench import PATH, end_all
from tests.adapters.processes.test_supervised import ended, output_of, shell, supervisor_of, until
from trimtab.adapters.processes import nursery
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.ports.processes import ProcessSpec

SECRET = "s3cr3t/of the+house"
SECRETS = {"TOKEN": SECRET}


@pytest.fixture(params=["forked", "started"])
async def processes(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SupervisedProcesses]:
    """With a nursery, and without one."""
    if request.param == "started":
        monkeypatch.setattr(nursery, "_PROGRAM", "no.such.program")
    opened = SupervisedProcesses(tmp_path / "home")
    yield opened
    await end_all(opened)
    await opened.close()


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_the_process_has_them_and_the_log_does_not(processes: SupervisedProcesses, tmp_path: Path) -> None:
    script = (
        'echo "it is $TOKEN"; printf %s "$TOKEN" | base64; printf "user:%s" "$TOKEN" | base64 -w 10;'
        'printf %s "$TOKEN" | od -An -tx1 | tr -d " \\n"; echo; [ "$TOKEN" = "$(cat expected)" ] && echo same'
    )
    (tmp_path / "expected").write_text(SECRET)
    output = await output_of(processes, shell("a", script, tmp_path, secrets=SECRETS))
    lines = output.splitlines()
    # Of ``user:`` some characters remain; the secret decides the others.
    assert [lines[0], lines[1].rstrip("="), lines[2][:6], *lines[3:]] == ["it is ***", "***", "dXNlcj", "***", "same"]
    assert SECRET.encode() not in everything_in(tmp_path / "home")


async def test_they_are_on_no_disk_and_in_nobody_s_environment(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "exec sleep 60", tmp_path, secrets=SECRETS))
    supervisor = supervisor_of(processes, "a")
    for file in ("environ", "cmdline"):
        assert SECRET.encode() not in Path(f"/proc/{supervisor}/{file}").read_bytes()
    assert not any("secrets" in os.readlink(link) for link in Path(f"/proc/{supervisor}/fd").iterdir())
    assert SECRET.encode() not in everything_in(tmp_path / "home")
    assert not any("secrets" in os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.exists())


async def test_they_take_the_place_of_other_variables(processes: SupervisedProcesses, tmp_path: Path) -> None:
    spec = ProcessSpec("a", ("/usr/bin/env",), "/", {"TOKEN": "no", "PATH": PATH}, secrets={"TOKEN": "yes!"})
    assert (await output_of(processes, spec)).splitlines() == ["TOKEN=***", f"PATH={PATH}"]


async def test_a_process_that_is_started_again_keeps_them(processes: SupervisedProcesses, tmp_path: Path) -> None:
    script = 'echo "$TOKEN"; [ "$(wc -l < count)" -ge 2 ] && exec sleep 60; echo >> count; exit 1'
    (tmp_path / "count").touch()
    await processes.start(shell("a", script, tmp_path, restart=True, secrets=SECRETS))
    await until(lambda: processes.log_path("a").read_text() == "***\n" * 3)


async def test_what_was_held_back_comes_at_the_end(processes: SupervisedProcesses, tmp_path: Path) -> None:
    output = await output_of(processes, shell("a", "printf 'almost: s3cr3t'", tmp_path, secrets=SECRETS))
    assert output == "almost: s3cr3t"


async def test_a_secret_that_comes_in_pieces(processes: SupervisedProcesses, tmp_path: Path) -> None:
    script = "printf s3cr; read -r _ < first; printf '3t/of the+ho'; read -r _ < second; echo use"
    for name in ("first", "second"):
        os.mkfifo(tmp_path / name)
    await processes.start(shell("a", script, tmp_path, secrets=SECRETS))
    for name in ("first", "second"):
        (tmp_path / name).write_text("\n")
    await ended(processes, "a")
    assert processes.log_path("a").read_text() == "***\n"


async def test_a_certificate_is_masked_line_by_line(processes: SupervisedProcesses, tmp_path: Path) -> None:
    body = base64.b64encode(bytes(range(150))).decode()
    pem = "-----BEGIN KEY-----\n" + "\n".join(body[at : at + 64] for at in range(0, len(body), 64)) + "\n"
    script = 'printf %s "$KEY"; printf %s "$KEY" | tail -n 1; printf %s "$KEY" | base64'
    output = await output_of(processes, shell("a", script, tmp_path, secrets={"KEY": pem}))
    # The line break at its end is no part of what is hidden: it has a part in the last sign of the encoding.
    assert output.rstrip("=\n")[:-1] == "***\n***\n***"
