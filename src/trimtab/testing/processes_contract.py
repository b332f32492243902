"""What every `Processes` promises. Each check takes a fresh bench; `CHECKS` has them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from trimtab.core.errors import TrimtabError
from trimtab.ports.processes import Limits, Processes, ProcessSpec, ProcessStatus

_MOST_WAITS = 1000


class ProcessesBench(Protocol):
    """Processes to be examined, and the means to do it."""

    processes: Processes

    def spec(self, name: str, *, restart: bool = False, timeout_s: float | None = None) -> ProcessSpec:
        """A process that runs until `finish`."""
        ...

    def missing(self, name: str) -> ProcessSpec:
        """A process whose command, ``no-such-command``, does not exist."""
        ...

    async def finish(self, name: str, exit_code: int, output: str = "") -> None:
        """Make the process write a line and end."""
        ...

    async def wait(self) -> None:
        """Let a little time pass."""
        ...

    async def reopen(self) -> None:
        """Let `processes` be what the next controller would see."""
        ...


async def eventually(bench: ProcessesBench, name: str, wanted: Callable[[ProcessStatus], bool]) -> ProcessStatus:
    """The status once it is as wanted; an AssertionError if that takes too long."""
    status = None
    for _ in range(_MOST_WAITS):
        status = await bench.processes.status(name)
        if status is not None and wanted(status):
            return status
        await bench.wait()
    raise AssertionError(f"{name} never became as wanted: {status}")


def ended(status: ProcessStatus) -> bool:
    return status.phase not in ("starting", "running", "backing_off")


async def _refusal(attempt: Awaitable[object]) -> str:
    """The code of the problem that the attempt raises; empty when it succeeds."""
    try:
        await attempt
    except TrimtabError as error:
        return error.problem.code
    return ""


async def check_a_started_process_runs(bench: ProcessesBench) -> None:
    status = await bench.processes.start(bench.spec("step/shop/1/test/1"))
    assert status.phase == "running"
    assert status.pid is not None
    assert status.problem is None
    assert await bench.processes.status("step/shop/1/test/1") is not None


async def check_an_unknown_process_is_none(bench: ProcessesBench) -> None:
    assert await bench.processes.status("step/shop/1/test/1") is None
    assert await bench.processes.list("") == ()


async def check_an_end_is_recorded(bench: ProcessesBench) -> None:
    for name, exit_code in (("step/a/1", 0), ("step/a/2", 3)):
        await bench.processes.start(bench.spec(name))
        await bench.finish(name, exit_code, "the last words")
        status = await eventually(bench, name, ended)
        assert (status.phase, status.exit_code, status.signal) == ("exited", exit_code, None)
        assert not status.stopped
        assert not status.timed_out
        assert status.pid is None
        assert status.ended_at is not None
        assert status.ended_at >= status.started_at > 0
        assert (status.problem is None) == (exit_code == 0)
    assert status.problem is not None
    assert "3" in status.problem.message
    assert "the last words" in status.problem.message


async def check_output_is_in_the_log(bench: ProcessesBench) -> None:
    await bench.processes.start(bench.spec("step/a/1"))
    await bench.finish("step/a/1", 0, "hello there")
    await eventually(bench, "step/a/1", ended)
    assert bench.processes.log_path("step/a/1").read_text() == "hello there\n"


async def check_a_secret_is_masked_in_the_log(bench: ProcessesBench) -> None:
    secrets = {"TOKEN": "tell-nobody", "KEY": "another-one\n"}
    await bench.processes.start(replace(bench.spec("step/a/1"), secrets=secrets))
    await bench.finish("step/a/1", 3, "tell-nobody, or another-one")
    status = await eventually(bench, "step/a/1", ended)
    assert bench.processes.log_path("step/a/1").read_text() == "***, or ***\n"
    assert status.problem is not None
    assert "tell-nobody" not in str(status.problem)
    assert "***, or ***" in str(status.problem)


async def check_a_short_secret_is_refused(bench: ProcessesBench) -> None:
    for short in ("", "abc", "   abc\n", "a\r\nb\nc"):
        spec = replace(bench.spec("step/a/1"), secrets={"LONG": "long enough", "PIN": short})
        assert await _refusal(bench.processes.start(spec)) == "secret-too-short"
    assert await bench.processes.status("step/a/1") is None


async def check_starting_twice_starts_once(bench: ProcessesBench) -> None:
    first = await bench.processes.start(bench.spec("step/a/1"))
    again = await bench.processes.start(bench.spec("step/a/1"))
    assert (again.pid, again.started_at) == (first.pid, first.started_at)
    await bench.finish("step/a/1", 4)
    await eventually(bench, "step/a/1", ended)
    assert (await bench.processes.start(bench.spec("step/a/1"))).exit_code == 4


async def check_a_missing_command_is_a_problem(bench: ProcessesBench) -> None:
    status = await bench.processes.start(bench.missing("step/a/1"))
    assert status.phase == "exited"
    assert status.problem is not None
    assert status.problem.code == "command-not-found"
    assert "no-such-command" in status.problem.message


async def check_a_bad_name_is_refused(bench: ProcessesBench) -> None:
    for name in ("", "/etc", "a b"):
        assert await _refusal(bench.processes.start(bench.spec(name))) == "process-name"


async def check_list_is_sorted_and_by_prefix(bench: ProcessesBench) -> None:
    for name in ("step/b/1", "step/a/2", "step/a/1", "instance/a/1"):
        await bench.processes.start(bench.spec(name))
    names = [status.name for status in await bench.processes.list("step/")]
    assert names == ["step/a/1", "step/a/2", "step/b/1"]
    assert [status.name for status in await bench.processes.list("step/a/2")] == ["step/a/2"]


async def check_stop_ends_a_process(bench: ProcessesBench) -> None:
    await bench.processes.start(bench.spec("step/a/1"))
    await bench.processes.stop("step/a/1")
    status = await bench.processes.status("step/a/1")
    assert status is not None
    assert status.phase == "exited"
    assert status.stopped
    assert status.problem is None
    await bench.processes.stop("step/a/1")
    await bench.processes.stop("step/a/never-started")


async def check_only_ended_processes_are_forgotten(bench: ProcessesBench) -> None:
    await bench.processes.start(bench.spec("step/a/1"))
    assert await _refusal(bench.processes.forget("step/a/1")) == "process-running"
    await bench.finish("step/a/1", 1, "old")
    await eventually(bench, "step/a/1", ended)
    await bench.processes.forget("step/a/1")
    await bench.processes.forget("step/a/1")
    assert await bench.processes.status("step/a/1") is None
    assert not bench.processes.log_path("step/a/1").exists()
    assert (await bench.processes.start(bench.spec("step/a/1"))).phase == "running"


async def check_a_restarted_process_comes_back(bench: ProcessesBench) -> None:
    await bench.processes.start(bench.spec("instance/a/1", restart=True))
    for restarts in (1, 2):
        await bench.finish("instance/a/1", 5)
        status = await eventually(bench, "instance/a/1", lambda s, n=restarts: s.restarts == n and s.phase == "running")  # type: ignore[misc]
        assert status.problem is None
    await bench.processes.stop("instance/a/1")
    stopped = await bench.processes.status("instance/a/1")
    assert stopped is not None
    assert stopped.phase == "exited"


async def check_a_resting_process_says_why(bench: ProcessesBench) -> None:
    await bench.processes.start(bench.spec("instance/a/1", restart=True))
    await bench.finish("instance/a/1", 5, "no database")
    status = await eventually(bench, "instance/a/1", lambda s: s.phase == "backing_off")
    assert status.problem is not None
    assert "no database" in status.problem.message
    await bench.processes.stop("instance/a/1")
    stopped = await bench.processes.status("instance/a/1")
    assert stopped is not None
    assert (stopped.phase, stopped.stopped) == ("exited", True)


async def check_a_time_limit_is_kept(bench: ProcessesBench) -> None:
    await bench.processes.start(bench.spec("step/a/1", timeout_s=0.2))
    status = await eventually(bench, "step/a/1", ended)
    assert status.timed_out
    assert not status.stopped
    assert status.problem is not None
    assert status.problem.code == "process-timed-out"


async def check_output_beyond_its_limit_ends_it(bench: ProcessesBench) -> None:
    spec = replace(bench.spec("step/a/1"), limits=Limits(output_bytes=10))
    await bench.processes.start(spec)
    await bench.finish("step/a/1", 0, "x" * 100)
    status = await eventually(bench, "step/a/1", ended)
    assert status.over_limit == "output"
    assert status.problem is not None
    assert status.problem.code == "process-over-limit"
    assert "limits.output" in status.problem.hint
    assert bench.processes.log_path("step/a/1").read_text() == "x" * 10


async def check_output_within_its_limit_is_kept(bench: ProcessesBench) -> None:
    await bench.processes.start(replace(bench.spec("step/a/1"), limits=Limits(output_bytes=10)))
    await bench.finish("step/a/1", 0, "123456789")
    status = await eventually(bench, "step/a/1", ended)
    assert (status.over_limit, status.exit_code, status.problem) == ("", 0, None)


async def check_changes_are_told(bench: ProcessesBench) -> None:
    told: list[str] = []
    bench.processes.on_change(told.append)
    await bench.processes.start(bench.spec("step/a/1"))
    await eventually(bench, "step/a/1", lambda s: s.phase == "running")
    told.clear()
    await bench.finish("step/a/1", 0)
    await eventually(bench, "step/a/1", lambda s: ended(s) and bool(told))
    assert set(told) == {"step/a/1"}


async def check_the_next_controller_finds_everything(bench: ProcessesBench) -> None:
    running = await bench.processes.start(bench.spec("step/a/1"))
    await bench.processes.start(bench.spec("step/a/2"))
    await bench.finish("step/a/2", 6)
    await eventually(bench, "step/a/2", ended)
    await bench.reopen()
    assert [(s.phase, s.pid, s.exit_code) for s in await bench.processes.list("step/")] == [
        ("running", running.pid, None),
        ("exited", None, 6),
    ]
    told: list[str] = []
    bench.processes.on_change(told.append)
    await bench.processes.stop("step/a/1")
    await eventually(bench, "step/a/1", lambda s: s.stopped and "step/a/1" in told)


CHECKS: tuple[Callable[[ProcessesBench], Awaitable[None]], ...] = (
    check_a_started_process_runs,
    check_an_unknown_process_is_none,
    check_an_end_is_recorded,
    check_output_is_in_the_log,
    check_a_secret_is_masked_in_the_log,
    check_a_short_secret_is_refused,
    check_starting_twice_starts_once,
    check_a_missing_command_is_a_problem,
    check_a_bad_name_is_refused,
    check_list_is_sorted_and_by_prefix,
    check_stop_ends_a_process,
    check_only_ended_processes_are_forgotten,
    check_a_restarted_process_comes_back,
    check_a_resting_process_says_why,
    check_a_time_limit_is_kept,
    check_output_beyond_its_limit_ends_it,
    check_output_within_its_limit_is_kept,
    check_changes_are_told,
    check_the_next_controller_finds_everything,
)
