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
