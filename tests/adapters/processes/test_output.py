"""Logs on a full disk, and logs of which nothing ever goes."""

from __future__ import annotations

import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.adapters.processes.bench import end_all
from tests.adapters.processes.test_supervised import ended, output_of, shell, supervisor_of, until
from trimtab.adapters.processes import output
from trimtab.adapters.processes.output import RotatedLog, WholeLog
from trimtab.adapters.processes.supervised import SupervisedProcesses

LIMIT_BYTES = 20_000


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[SupervisedProcesses]:
    opened = SupervisedProcesses(tmp_path / "home")
    yield opened
    await end_all(opened)
    await opened.close()


def fill_disk(supervisor: int, limit_bytes: int = LIMIT_BYTES) -> None:
    """From now on the supervisor can write no file larger than that, as if there were no space."""
    psutil.Process(supervisor).rlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))


async def test_with_no_number_of_files_nothing_ever_goes(processes: SupervisedProcesses, tmp_path: Path) -> None:
    spec = shell("a", "seq 20000", tmp_path, log_files=0, log_max_bytes=1000)
    assert (await output_of(processes, spec)).split() == [str(number) for number in range(1, 20001)]
    assert [path.name for path in processes.log_path("a").parent.glob("log*")] == ["log"]


async def test_a_process_waits_for_space_and_loses_nothing(processes: SupervisedProcesses, tmp_path: Path) -> None:
    script = "read -r _ < go; seq 50000; echo done > done; exit 3"
    os.mkfifo(tmp_path / "go")
    await processes.start(shell("a", script, tmp_path, log_files=0))
    supervisor = supervisor_of(processes, "a")
    fill_disk(supervisor)
    (tmp_path / "go").write_text("\n")
    log = processes.log_path("a")
    await until(lambda: log.stat().st_size == LIMIT_BYTES)
    status = await processes.status("a")
    assert status is not None
    assert status.phase == "running"
    assert not (tmp_path / "done").exists(), "more than a pipe holds is still to come"
    fill_disk(supervisor, resource.RLIM_INFINITY)
    assert (await ended(processes, "a")).exit_code == 3
    assert log.read_text().split() == [str(number) for number in range(1, 50001)]


async def test_one_that_waits_for_space_can_be_stopped(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "exec yes", tmp_path, log_files=0, stop_timeout_s=5.0))
    fill_disk(supervisor_of(processes, "a"))
    await until(lambda: processes.log_path("a").stat().st_size >= LIMIT_BYTES)
    await processes.stop("a")
    assert (await ended(processes, "a")).stopped


async def test_instances_do_not_wait_and_say_what_is_lost(processes: SupervisedProcesses, tmp_path: Path) -> None:
    for name in ("first", "second"):
        os.mkfifo(tmp_path / name)
    script = "read -r _ < first; seq 50000; read -r _ < second; echo after"
    await processes.start(shell("a", script, tmp_path, log_files=2))
    supervisor = supervisor_of(processes, "a")
    fill_disk(supervisor)
    (tmp_path / "first").write_text("\n")
    # It opens this one when all of its output was taken.
    with (tmp_path / "second").open("w") as second:
        fill_disk(supervisor, resource.RLIM_INFINITY)
        second.write("\n")
    await ended(processes, "a")
    text = processes.log_path("a").read_text()
    assert "\n[trimtab: " in text
    assert " bytes of output were lost: the disk was full]\n" in text
    assert text.endswith("\nafter\n")


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    log = WholeLog("/dev/full", lambda: now)
    log.write(b"the last words\n")
    now = output.PATIENCE_S - 1
    log.write(b"")
    assert (log.is_waiting(), log.is_lost()) == (True, False)
    now = output.PATIENCE_S
    log.write(b"")
    assert (log.is_waiting(), log.is_lost()) == (False, True)
    assert log.last_line() == "the last words"


def test_a_rotated_log_goes_on_when_there_is_space(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    log = RotatedLog(str(path), 1000, 3)
    log.write(b"one\n")
    log.write(b"two\n")
    path.unlink()
    real = tmp_path / "real"
    real.touch()
    path.symlink_to(real)
    log._open()
    log.write(b"three\n")
    log.write(b"four\n")
    assert path.read_text() == "\n[trimtab: 8 bytes of output were lost: the disk was full]\nthree\nfour\n"
