"""Real processes under real supervisors: what kills them, and what must not."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from tests.adapters.processes.bench import PATH, end_all
from trimtab.adapters.processes import record
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.core.errors import TrimtabError
from trimtab.ports.processes import ProcessSpec, ProcessStatus

ENDED = ("exited", "lost")


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[SupervisedProcesses]:
    opened = SupervisedProcesses(tmp_path / "home")
    yield opened
    await end_all(opened)
    await opened.close()


def shell(name: str, script: str, folder: Path, **fields: object) -> ProcessSpec:
    env = fields.pop("env", {"PATH": PATH})
    return ProcessSpec(name, ("/bin/sh", "-c", script), str(folder), env, **fields)  # type: ignore[arg-type]


async def until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline, "it took too long"
        await asyncio.sleep(0.01)


async def ended(processes: SupervisedProcesses, name: str) -> ProcessStatus:
    deadline = time.monotonic() + 20
    while (status := await processes.status(name)) is None or status.phase not in ENDED:
        assert time.monotonic() < deadline, status
        await asyncio.sleep(0.01)
    return status


async def output_of(processes: SupervisedProcesses, spec: ProcessSpec) -> str:
    await processes.start(spec)
    await ended(processes, spec.name)
    return processes.log_path(spec.name).read_text()


def supervisor_of(processes: SupervisedProcesses, name: str) -> int:
    fields = record.read_fields(str(processes.log_path(name).parent / record.STATE))
    return int(dict(fields or [])["supervisor"])


def pid_in(path: Path) -> int | None:
    return int(path.read_text()) if path.exists() and path.read_text().strip() else None


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_killed_process_ends_with_its_signal(processes: SupervisedProcesses, tmp_path: Path) -> None:
    status = await processes.start(shell("a", "exec sleep 60", tmp_path))
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    status = await ended(processes, "a")
    assert (status.phase, status.exit_code, status.signal, status.stopped) == ("exited", None, signal.SIGKILL, False)
    assert status.problem is not None
    assert "SIGKILL" in status.problem.message


async def test_a_killed_supervisor_takes_everything_with_it(processes: SupervisedProcesses, tmp_path: Path) -> None:
    script = "sleep 60 & echo $! > grandchild; wait"
    status = await processes.start(shell("a", script, tmp_path, restart=True))
    await until(lambda: pid_in(tmp_path / "grandchild") is not None)
    grandchild = pid_in(tmp_path / "grandchild")
    assert grandchild is not None
    assert status.pid is not None
    os.kill(supervisor_of(processes, "a"), signal.SIGKILL)
    # Before the controller looks: the process dies without it.
    await until(lambda: gone(status.pid or 0))
    lost = await ended(processes, "a")
    assert lost.phase == "lost"
    assert lost.problem is not None
    assert lost.problem.code == "supervisor-lost"
    assert lost.ended_at is not None
    await until(lambda: gone(grandchild))
    assert (await ended(processes, "a")).ended_at == lost.ended_at


async def test_a_terminated_supervisor_stops_its_process(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "trap 'echo bye; exit 0' TERM; sleep 60 & wait", tmp_path))
    os.kill(supervisor_of(processes, "a"), signal.SIGTERM)
    assert (await ended(processes, "a")).stopped


async def test_a_process_that_ignores_sigterm_is_killed(processes: SupervisedProcesses, tmp_path: Path) -> None:
    script = "trap '' TERM; touch deaf; while :; do sleep 0.05; done"
    await processes.start(shell("a", script, tmp_path, stop_timeout_s=0.2))
    await until((tmp_path / "deaf").exists)
    await processes.stop("a")
    status = await ended(processes, "a")
    assert (status.stopped, status.signal) == (True, signal.SIGKILL)


async def test_stop_waits_for_the_whole_group(processes: SupervisedProcesses, tmp_path: Path) -> None:
    """A shell dies of SIGTERM at once; the program that it runs may need a moment for its last requests."""
    script = "sh -c 'trap \"sleep 0.2; echo finished > end; exit\" TERM; touch up; sleep 60 & wait'; true"
    await processes.start(shell("a", script, tmp_path))
    await until((tmp_path / "up").exists)
    await processes.stop("a")
    assert (tmp_path / "end").exists()


async def test_a_time_limit_is_kept_without_a_controller(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "sleep 60", tmp_path, timeout_s=0.1))
    await processes.close()
    status = await ended(SupervisedProcesses(tmp_path / "home"), "a")
    assert status.timed_out
    assert status.problem is not None
    assert "0.1 s" in status.problem.message


async def test_a_daemon_ends_with_its_step(processes: SupervisedProcesses, tmp_path: Path) -> None:
    script = "setsid sh -c 'echo $$ > daemon; exec sleep 60' & while ! [ -s daemon ]; do sleep 0.01; done; exit 7"
    await processes.start(shell("a", script, tmp_path))
    status = await ended(processes, "a")
    assert status.exit_code == 7
    daemon = pid_in(tmp_path / "daemon")
    assert daemon is not None
    assert gone(daemon)


async def test_endless_output_stays_within_its_bound(processes: SupervisedProcesses, tmp_path: Path) -> None:
    spec = shell("a", "i=0; while :; do echo line $i; i=$((i+1)); done", tmp_path, log_max_bytes=5000, log_files=3)
    await processes.start(spec)
    log = processes.log_path("a")
    oldest = log.with_name("log.2")
    await until(oldest.exists)
    await until(lambda: int(oldest.read_text().split()[1]) > 2000)
    await processes.stop("a")
    logs = sorted(log.parent.glob("log*"))
    assert [path.name for path in logs] == ["log", "log.1", "log.2"]
    assert all(path.stat().st_size <= 5000 for path in logs)
    lines = "".join(path.read_text() for path in reversed(logs)).splitlines()
    numbers = [int(line.removeprefix("line ")) for line in lines]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "whole lines, none lost"


async def test_a_line_longer_than_a_log_file_is_cut(processes: SupervisedProcesses, tmp_path: Path) -> None:
    spec = shell("a", "head -c 2500 /dev/zero | tr '\\0' x", tmp_path, log_max_bytes=1000, log_files=9)
    await processes.start(spec)
    await ended(processes, "a")
    logs = list(processes.log_path("a").parent.glob("log*"))
    assert sorted(path.stat().st_size for path in logs) == [500, 1000, 1000]


async def test_output_is_kept_byte_by_byte(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "printf 'caf\\351 \\000\\033[31m\\n' >&2; exit 1", tmp_path))
    status = await ended(processes, "a")
    assert processes.log_path("a").read_bytes() == b"caf\xe9 \0\x1b[31m\n"
    assert status.problem is not None
    assert "caf" in status.problem.message
    assert "\x1b" not in status.problem.message


async def test_the_environment_is_the_spec_s_and_nothing_else(
    processes: SupervisedProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "do not tell")
    env = {"ODD": "two\nlines = é \udcff", "EMPTY": ""}
    spec = ProcessSpec("a", ("/usr/bin/env", "-0"), str(tmp_path), env)
    await processes.start(spec)
    await ended(processes, "a")
    entries = processes.log_path("a").read_bytes().split(b"\0")
    assert sorted(entries) == [b"", b"EMPTY=", "ODD=two\nlines = é ".encode() + b"\xff"]
    await processes.start(ProcessSpec("b", ("/bin/sleep", "60"), "/"))
    assert b"do not tell" not in Path(f"/proc/{supervisor_of(processes, 'b')}/environ").read_bytes()


async def test_nothing_but_the_standard_descriptors_is_open(processes: SupervisedProcesses, tmp_path: Path) -> None:
    with socket.socket() as leaked:
        leaked.set_inheritable(True)
        spec = ProcessSpec("a", ("/bin/ls", "-l", "/proc/self/fd"), "/", {})
        listing = await output_of(processes, spec)
        running = await processes.start(shell("b", "exec sleep 60", tmp_path))
        assert running.pid is not None
        held = [os.readlink(link) for link in Path(f"/proc/{supervisor_of(processes, 'b')}/fd").iterdir()]
    assert not any(name.startswith("socket:") for name in held)
    # ls itself opens the folder it lists as 3.
    assert {line.split()[-3] for line in listing.splitlines() if "->" in line} == {"0", "1", "2", "3"}
    assert "/dev/null" in listing


async def test_signals_are_as_for_any_new_process(processes: SupervisedProcesses) -> None:
    masks = await output_of(processes, ProcessSpec("a", ("/bin/grep", "Sig[BI]", "/proc/self/status"), "/"))
    kept_by_libc = 1 << 31 | 1 << 32  # the signals 32 and 33, which no program can set
    assert [int(line.split()[1], 16) & ~kept_by_libc for line in masks.splitlines()] == [0, 0]


async def test_read_only_folders_hold_for_root_too(processes: SupervisedProcesses, tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    (release / "file").write_text("as it was")
    script = "echo changed > file; touch new; mkdir ../beside && echo free"
    await processes.start(shell("a", script, release, read_only=(str(release),)))
    status = await ended(processes, "a")
    said = processes.log_path("a").read_text()
    if not status.confined:
        pytest.skip("this kernel allows no mount namespace here")
    assert said.count("Read-only file system") == 2
    assert (release / "file").read_text() == "as it was"
    assert [path.name for path in release.iterdir()] == ["file"]
    assert "free" in said
    (release / "mine").write_text("others still may")


async def test_a_view_that_cannot_be_read_only_is_admitted(processes: SupervisedProcesses, tmp_path: Path) -> None:
    status = await processes.start(shell("a", "true", tmp_path, read_only=(str(tmp_path / "missing"),)))
    assert not status.confined
    assert (await ended(processes, "a")).exit_code == 0


@pytest.mark.parametrize("restart", [False, True])
async def test_what_cannot_be_started_says_why(processes: SupervisedProcesses, tmp_path: Path, restart: bool) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    for number, (spec, code, word) in enumerate(
        [
            (("nowhere",), "command-not-found", "nowhere"),
            ((str(script),), "command-not-found", str(script)),
            (("/etc/passwd",), "command-not-run", "/etc/passwd"),
        ]
    ):
        status = await processes.start(ProcessSpec(f"a/{number}", spec, "/", {"PATH": PATH}, restart=restart))
        assert (status.phase, status.exit_code) == ("exited", 127)
        assert status.problem is not None
        assert status.problem.code == code
        assert word in status.problem.message
        assert status.problem.hint
    status = await processes.start(shell("b", "true", tmp_path / "missing", restart=restart))
    assert status.problem is not None
    assert status.problem.code == "folder-missing"
    assert str(tmp_path / "missing") in status.problem.message


async def test_the_command_is_looked_up_in_its_own_path(processes: SupervisedProcesses, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    assert await output_of(processes, ProcessSpec("a", ("tool",), "/", {"PATH": f"/nowhere:{tmp_path}"})) == "found\n"


async def test_fifty_at_once(processes: SupervisedProcesses, tmp_path: Path) -> None:
    specs = [shell(f"step/{number:02}", f"echo {number}", tmp_path) for number in range(50)]
    await asyncio.gather(*(processes.start(spec) for spec in specs))
    for number, spec in enumerate(specs):
        assert (await ended(processes, spec.name)).exit_code == 0
        assert processes.log_path(spec.name).read_text() == f"{number}\n"


async def test_starting_the_same_name_at_once_starts_it_once(processes: SupervisedProcesses, tmp_path: Path) -> None:
    spec = shell("a", "echo started; sleep 60", tmp_path)
    statuses = await asyncio.gather(*(processes.start(spec) for _ in range(5)))
    assert len({status.pid for status in statuses}) == 1
    await until(lambda: processes.log_path("a").read_text() == "started\n")


async def test_cpu_and_memory_are_of_everything_below(processes: SupervisedProcesses, tmp_path: Path) -> None:
    # It works for some of the kernel's clock ticks, in which CPU time is counted: less than one counts as none.
    work = "held = bytearray(30_000_000); import time\nwhile time.process_time() < 0.1: pass\ntime.sleep(60)"
    script = f"{sys.executable} -I -S -c '{work}' & wait"
    await processes.start(shell("a", script, tmp_path))
    for _ in range(1000):
        status = await processes.status("a")
        assert status is not None
        if status.rss_bytes > 30_000_000 and status.cpu_s > 0:
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError(status)
    await processes.stop("a")
    status = await ended(processes, "a")
    assert status.rss_bytes == 0
    assert status.cpu_s > 0


async def test_it_outlives_a_controller_that_is_killed(tmp_path: Path) -> None:
    """The controller's whole process group is killed, as by a closed terminal; the next one finds the process."""
    program = (
        "import asyncio, pathlib, sys\n"
        "from trimtab.adapters.processes.supervised import SupervisedProcesses\n"
        "from trimtab.ports.processes import ProcessSpec\n"
        "async def main():\n"
        "    processes = SupervisedProcesses(pathlib.Path(sys.argv[1]))\n"
        "    await processes.start(ProcessSpec('a', ('/bin/sleep', '60'), '/'))\n"
        "    print('started', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    home = tmp_path / "home"
    controller = subprocess.Popen(
        [sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert controller.stdout is not None
    with controller.stdout:
        assert controller.stdout.readline() == b"started\n"
        os.killpg(controller.pid, signal.SIGINT)
        os.killpg(controller.pid, signal.SIGKILL)
        controller.wait()
    processes = SupervisedProcesses(home)
    status = await processes.status("a")
    assert status is not None
    assert status.phase == "running"
    assert status.pid is not None
    told: list[str] = []
    processes.on_change(told.append)
    os.kill(status.pid, signal.SIGKILL)
    await until(lambda: "a" in told)
    assert (await ended(processes, "a")).signal == signal.SIGKILL
    await processes.close()


async def test_supervisors_leave_no_zombies(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "true", tmp_path))
    supervisor = supervisor_of(processes, "a")
    await ended(processes, "a")
    await until(lambda: not psutil.pid_exists(supervisor))


async def test_a_removed_record_ends_its_process(processes: SupervisedProcesses, tmp_path: Path) -> None:
    status = await processes.start(shell("a", "exec sleep 60", tmp_path))
    assert status.pid is not None
    (tmp_path / "home").rename(tmp_path / "gone")
    for path in (tmp_path / "gone" / "a").iterdir():
        path.unlink()
    assert await processes.status("a") is None
    await processes.stop("a")
    await until(lambda: gone(status.pid or 0))
    assert (await processes.start(shell("a", "exec sleep 60", tmp_path))).phase == "running"


async def test_a_supervisor_that_hangs_is_killed(
    processes: SupervisedProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trimtab.adapters.processes.supervised._SUPERVISOR_GRACE_S", 0.2)
    status = await processes.start(shell("a", "exec sleep 60", tmp_path, stop_timeout_s=0.1))
    os.kill(supervisor_of(processes, "a"), signal.SIGSTOP)
    await processes.stop("a")
    assert (await ended(processes, "a")).phase == "lost"
    await until(lambda: gone(status.pid or 0))


async def test_a_supervisor_that_cannot_work_says_so(processes: SupervisedProcesses, tmp_path: Path) -> None:
    (tmp_path / "home" / "a" / record.LOG).mkdir(parents=True)
    with pytest.raises(TrimtabError) as raised:
        await processes.start(shell("a", "true", tmp_path))
    assert raised.value.problem.code == "supervisor-failed"
    assert "Is a directory" in raised.value.problem.message


async def test_a_nul_is_refused(processes: SupervisedProcesses) -> None:
    with pytest.raises(TrimtabError, match="NUL"):
        await processes.start(ProcessSpec("a", ("/bin/echo", "a\0b"), "/"))
    assert await processes.status("a") is None


def test_the_supervisor_imports_next_to_nothing() -> None:
    """Each of these would cost more than everything that it does import."""
    program = (
        "import sys; sys.path.append(sys.argv[1]); import trimtab.adapters.processes.supervisor; print(*sys.modules)"
    )
    root = str(Path(record.__file__).parents[3])
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, root], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"json", "re", "enum", "signal", "subprocess", "typing", "dataclasses", "collections", "pathlib", "logging"}
    assert not heavy & set(loaded)
