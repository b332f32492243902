"""The phases of an instance, as a pure function."""

from __future__ import annotations

from trimtab.adapters.processes.readiness import Check, Sight, judge
from trimtab.core.errors import Problem
from trimtab.ports.processes import ProcessStatus

RUNNING = ProcessStatus("instance/a", "running", pid=1, started_at=100.0)
RESTING = ProcessStatus("instance/a", "backing_off", started_at=100.0, problem=Problem("process-failed", "It ended."))
WELL = Check("GET /health", "")
BADLY = Check("GET /health", "HTTP 500", "Traceback.")


def sights(*steps: tuple[ProcessStatus, Check | None, float]) -> list[str]:
    sight, phases = Sight(), []
    for process, check, now in steps:
        sight = judge(sight, process, check, now, health_timeout_s=10.0)
        phases.append(sight.phase)
    return phases


def test_three_misses_in_a_row_make_it_unhealthy() -> None:
    answers = (WELL, BADLY, BADLY, WELL, BADLY, BADLY, BADLY, WELL)
    expected = ["ready"] * 6 + ["unhealthy", "ready"]
    assert sights(*((RUNNING, answer, 101.0) for answer in answers)) == expected


def test_it_fails_when_its_time_is_up_and_recovers() -> None:
    assert sights(
        (RUNNING, BADLY, 109.9), (RUNNING, BADLY, 110.0), (RUNNING, BADLY, 111.0), (RUNNING, WELL, 120.0)
    ) == [
        "starting",
        "failed",
        "failed",
        "ready",
    ]


def test_a_restart_that_nobody_saw_begins_anew() -> None:
    again = ProcessStatus("instance/a", "running", pid=2, started_at=200.0, restarts=1)
    assert sights((RUNNING, WELL, 101.0), (again, BADLY, 201.0), (again, WELL, 202.0)) == ["ready", "starting", "ready"]


def test_it_stays_failed_between_its_restarts() -> None:
    def resting(restarts: int) -> ProcessStatus:
        return ProcessStatus("instance/a", "backing_off", started_at=100.0 + restarts, restarts=restarts)

    running = ProcessStatus("instance/a", "running", pid=2, started_at=103.0, restarts=3)
    assert sights(
        (resting(0), None, 100.0), (resting(1), None, 101.0), (resting(2), None, 102.0), (running, BADLY, 103.0),
        (resting(3), None, 104.0), (running, WELL, 105.0),
    ) == ["backing_off", "backing_off", "failed", "failed", "failed", "ready"]  # fmt: skip


def test_what_was_ready_once_only_backs_off() -> None:
    often = ProcessStatus("instance/a", "backing_off", started_at=100.0, restarts=9, problem=RESTING.problem)
    assert sights((RUNNING, WELL, 101.0), (often, None, 102.0)) == ["ready", "backing_off"]
    assert judge(Sight(was_ready=True), often, None, 102.0, 10.0).problem == RESTING.problem
