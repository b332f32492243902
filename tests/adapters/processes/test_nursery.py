"""Supervisors that a nursery forked: nothing of it, nor of the controller, must be missed by them or stay with them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.adapters.processes.bench import PATH, end_all
from tests.adapters.processes.test_supervised import ended, gone, shell, supervisor_of, until
from trimtab.adapters.processes import nursery as nursery_module
from trimtab.adapters.processes import record
from trimtab.adapters.processes.nursery import Nursery
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.core.errors import TrimtabError
from trimtab.ports.processes import ProcessSpec

_ENOUGH = 40
_STARTED = (
    "import asyncio, pathlib, sys\n"
    "from trimtab.adapters.processes.supervised import SupervisedProcesses\n"
    "from trimtab.ports.processes import ProcessSpec\n"
    "async def main():\n"
    "    processes = SupervisedProcesses(pathlib.Path(sys.argv[1]))\n"
    "    await processes.start(ProcessSpec(sys.argv[2], ('/bin/sleep', '60'), '/'))\n"
    "    print(processes._nursery.pid, flush=True)\n"
    "    await asyncio.sleep(60)\n"
    "asyncio.run(main())\n"
)


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[SupervisedProcesses]:
    opened = SupervisedProcesses(tmp_path / "home")
    yield opened
    await end_all(opened)
    await opened.close()


def nursery_of(processes: SupervisedProcesses) -> psutil.Process:
    pid = processes._nursery.pid
    assert pid is not None
    return psutil.Process(pid)


async def test_a_supervisor_is_forked_and_looks_like_one(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "exec sleep 60", tmp_path))
    supervisor = psutil.Process(supervisor_of(processes, "a"))
    nursery = nursery_of(processes)
    assert supervisor.ppid() == nursery.pid
    assert (supervisor.name(), nursery.name()) == ("trimtab-super", "trimtab-nursery")
    assert supervisor.cmdline() == ["trimtab-super", str(processes.log_path("a").parent)]
    assert nursery.cmdline() == ["trimtab-nursery"]
    assert os.getsid(supervisor.pid) == os.getpgid(supervisor.pid) == supervisor.pid
    assert os.getsid(nursery.pid) == nursery.pid
    assert not (processes.log_path("a").parent / record.ERRORS).exists()


async def test_a_killed_nursery_is_not_missed(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "exec sleep 60", tmp_path))
    first = nursery_of(processes)
    first.kill()
    await processes.start(shell("b", "exit 6", tmp_path))
    assert nursery_of(processes).pid != first.pid
    assert (await ended(processes, "b")).exit_code == 6
    await processes.stop("a")
    assert (await ended(processes, "a")).stopped
    assert gone(first.pid)


async def test_a_paused_nursery_is_replaced(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("a", "exec sleep 60", tmp_path))
    first = nursery_of(processes)
    processes._nursery._socket.settimeout(0.2)  # type: ignore[union-attr]
    first.suspend()
    await processes.start(shell("b", "echo once", tmp_path))
    await ended(processes, "b")
    assert processes.log_path("b").read_text() == "once\n"
    assert nursery_of(processes).pid != first.pid
    assert gone(first.pid)


async def test_without_a_nursery_supervisors_are_started(
    processes: SupervisedProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nursery_module, "_PROGRAM", "no.such.program")
    await processes.start(shell("a", "exec sleep 60", tmp_path))
    supervisor = psutil.Process(supervisor_of(processes, "a"))
    assert supervisor.ppid() == os.getpid()
    assert supervisor.name() == "trimtab-super"
    await processes.stop("a")
    await until(lambda: not psutil.pid_exists(supervisor.pid))
    blocked = processes.log_path("b").parent / record.LOG
    blocked.mkdir(parents=True)
    with pytest.raises(TrimtabError, match="Is a directory"):
        await processes.start(shell("b", "true", tmp_path))


async def test_a_machine_that_allows_no_process_says_so(processes: SupervisedProcesses, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        theirs.send(b"!11")
        processes._nursery._socket = ours
        with pytest.raises(TrimtabError) as raised:
            await processes.start(shell("a", "true", tmp_path))
    assert raised.value.problem.code == "process-not-started"
    assert "temporarily unavailable" in raised.value.problem.message
    assert await processes.status("a") is None


def test_an_answer_that_was_on_its_way_counts() -> None:
    """Whoever asked another nursery after that would have two supervisors."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    nursery = Nursery()
    nursery._socket = ours
    theirs.send(b"77")
    theirs.close()
    assert nursery._end() == b"77"


async def test_a_nursery_ends_with_its_controller(tmp_path: Path) -> None:
    """The controller's group is interrupted, hung up and killed; another one has a nursery of its own."""
    home = str(tmp_path / "home")
    controllers = [
        subprocess.Popen([sys.executable, "-c", _STARTED, home, name], stdout=subprocess.PIPE, start_new_session=True)
        for name in ("a", "b")
    ]
    nurseries = [int(each.stdout.readline()) for each in controllers if each.stdout is not None]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
        os.killpg(controllers[0].pid, number)
    controllers[0].wait()
    await until(lambda: gone(nurseries[0]))
    assert not gone(nurseries[1])
    processes = SupervisedProcesses(Path(home))
    assert [status.phase for status in await processes.list("")] == ["running", "running"]
    controllers[1].kill()
    controllers[1].wait()
    await until(lambda: gone(nurseries[1]))
    assert [status.phase for status in await processes.list("")] == ["running", "running"]
    await end_all(processes)
    await processes.close()
    for each in controllers:
        assert each.stdout is not None
        each.stdout.close()


async def test_closing_ends_the_nursery_and_nothing_else(tmp_path: Path) -> None:
    processes = SupervisedProcesses(tmp_path / "home")
    await processes.start(shell("a", "exec sleep 60", tmp_path))
    nursery = nursery_of(processes)
    nursery.suspend()
    await processes.close()
    assert not psutil.pid_exists(nursery.pid)
    again = SupervisedProcesses(tmp_path / "home")
    status = await again.status("a")
    assert status is not None
    assert status.phase == "running"
    await end_all(again)
    await again.close()


async def test_many_forks_leave_nothing_in_the_nursery(processes: SupervisedProcesses, tmp_path: Path) -> None:
    with socket.socket() as leaked:
        leaked.set_inheritable(True)
        await processes.start(shell("first", "true", tmp_path))
        await ended(processes, "first")
    nursery = nursery_of(processes)
    held, memory_bytes = nursery.num_fds(), nursery.memory_full_info().uss
    # To its controller, and to the supervisor that waits for its task.
    assert len([link for link in links_of(nursery.pid) if link.startswith("socket:")]) == 2
    for number in range(_ENOUGH):
        await processes.start(ProcessSpec(f"a/{number}", ("/bin/true",), "/", {"PATH": PATH}))
        await ended(processes, f"a/{number}")
    assert nursery_of(processes).pid == nursery.pid
    assert nursery.num_fds() == held
    # Less than a kilobyte for each: what one fork needs is there from the first on.
    assert nursery.memory_full_info().uss - memory_bytes < _ENOUGH * 1024
    await until(lambda: len(nursery.children()) == 1)


async def waiting(nursery: psutil.Process) -> psutil.Process:
    """The supervisor that waits for its task."""
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [child for child in nursery.children() if "waiting" in " ".join(child.cmdline())]
        return len(found) == 1

    await until(look)
    return found[0]


async def test_who_waits_for_a_task_goes_with_the_nursery(processes: SupervisedProcesses, tmp_path: Path) -> None:
    await processes.start(shell("first", "true", tmp_path))
    await ended(processes, "first")
    nursery = nursery_of(processes)
    spare = await waiting(nursery)
    nursery.kill()
    await until(lambda: not spare.is_running() or spare.status() == "zombie")
    await processes.start(shell("second", "true", tmp_path))
    await ended(processes, "second")


async def test_a_task_goes_elsewhere_when_who_waited_for_it_is_gone(
    processes: SupervisedProcesses, tmp_path: Path
) -> None:
    await processes.start(shell("first", "true", tmp_path))
    await ended(processes, "first")
    nursery = nursery_of(processes)
    spare = await waiting(nursery)
    spare.kill()
    await until(lambda: not spare.is_running() or spare.status() == "zombie")
    await processes.start(shell("second", "true", tmp_path))
    await ended(processes, "second")
    assert nursery_of(processes).pid == nursery.pid


def links_of(pid: int) -> list[str]:
    """What the process has open, the one socket to its controller first."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return sorted(links, key=lambda link: not link.startswith("socket:"))


async def test_starts_at_once_from_several_controllers(processes: SupervisedProcesses, tmp_path: Path) -> None:
    others = [SupervisedProcesses(tmp_path / "home") for _ in range(2)]
    spec = shell("a", "echo started; exec sleep 60", tmp_path)
    statuses = await asyncio.gather(*(each.start(spec) for each in (processes, *others) for _ in range(3)))
    assert len({status.pid for status in statuses}) == 1
    await until(lambda: processes.log_path("a").read_text() == "started\n")
    for each in others:
        await each.close()
