"""How a process ended, as decisions are told: running out of time is not the same as failing."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.core.errors import Problem
from trimtab.engine.observe import step_reading
from trimtab.ports.processes import ProcessStatus

PROBLEM = Problem("process-timeout", "it ran out of time")


@pytest.mark.parametrize(("timed_out", "outcome"), [(True, "timed_out"), (False, "failed")])
def test_a_process_whose_time_was_up_has_timed_out_whatever_else_is_said(timed_out: bool, outcome: str) -> None:
    status = ProcessStatus("gate/shop/production/1/1", "exited", started_at=1.0, timed_out=timed_out, problem=PROBLEM)
    assert step_reading(status, Path("no-log")).outcome == outcome


def test_what_is_over_a_limit_has_failed_and_says_which() -> None:
    problem = Problem("process-over-limit", "It used more than 1 GiB of memory.", "Raise limits.memory.")
    status = ProcessStatus("step/shop/1/test/1", "exited", signal=9, over_limit="memory", problem=problem)
    reading = step_reading(status, Path("no-log"))
    assert reading.outcome == "failed"
    assert "1 GiB" in reading.detail


def test_a_step_whose_output_was_lost_has_not_passed() -> None:
    problem = Problem("log-disk-full", "Its log had no space for ten minutes.", "Make space.")
    status = ProcessStatus("step/shop/1/test/1", "exited", exit_code=0, problem=problem)
    assert step_reading(status, Path("no-log")).outcome == "lost"
