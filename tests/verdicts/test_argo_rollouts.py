"""The model of Argo Rollouts does what analysis.go does."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.rivals.argo_rollouts import ERROR, FAILED, INCONCLUSIVE, RUNNING, SUCCESSFUL, ArgoRollouts, Metric
from benchmarks.rivals.series import Arm, Series

KINDS = {"s": SUCCESSFUL, "f": FAILED, "i": INCONCLUSIVE, "e": ERROR}


def run(metric: Metric, measured: str) -> tuple[int, int]:
    phase, ended = metric.run(np.array([[KINDS[kind] for kind in measured]]))
    return int(phase[0]), int(ended[0])


@pytest.mark.parametrize(
    ("metric", "measured", "phase", "ended"),
    [
        (Metric(), "sf", FAILED, 2),
        (Metric(failure_limit=3), "fff", RUNNING, 3),
        (Metric(failure_limit=3), "ffff", FAILED, 4),  # the 4th failure, whatever the documentation says
        (Metric(failure_limit=3), "fsfsfsf", FAILED, 7),  # they add up, also with successes between them
        (Metric(), "i", INCONCLUSIVE, 1),
        (Metric(inconclusive_limit=2), "iisi", INCONCLUSIVE, 4),
        (Metric(), "eeee", RUNNING, 4),
        (Metric(), "eeeee", ERROR, 5),
        (Metric(), "eeeeseeee", RUNNING, 9),  # a success between them forgives errors
        (Metric(count=3), "sss", SUCCESSFUL, 3),
        (Metric(count=3), "seees", RUNNING, 5),  # errors are not counted as measurements
        (Metric(failure_limit=1, count=3), "sfs", SUCCESSFUL, 3),
        (Metric(failure_limit=1, count=2), "ff", FAILED, 2),  # failed goes before counted
        (Metric(failure_limit=9, consecutive_success_limit=2), "sfss", SUCCESSFUL, 4),
        (Metric(failure_limit=9, consecutive_success_limit=2, count=3), "sfs", INCONCLUSIVE, 3),
        (Metric(failure_limit=-1, consecutive_success_limit=2, count=3), "sff", FAILED, 3),
        (Metric(failure_limit=-1), "ffffffff", RUNNING, 8),
    ],
)
def test_limits(metric: Metric, measured: str, phase: int, ended: int) -> None:
    assert run(metric, measured) == (phase, ended)


@pytest.mark.parametrize(
    ("metric", "kinds"),
    [
        (Metric(), [SUCCESSFUL, SUCCESSFUL, SUCCESSFUL, ERROR]),  # no condition: everything is a success
        (Metric(success_at_least=0.95), [FAILED, FAILED, SUCCESSFUL, ERROR]),
        (Metric(failure_below=0.9), [FAILED, SUCCESSFUL, SUCCESSFUL, ERROR]),
        (Metric(success_at_least=0.95, failure_below=0.9), [FAILED, INCONCLUSIVE, SUCCESSFUL, ERROR]),
    ],
)
def test_conditions(metric: Metric, kinds: list[int]) -> None:
    assert metric.measure(np.array([0.5, 0.92, 0.95, np.nan])).tolist() == kinds


def test_an_analysis_aborts_when_it_fails_and_without_data() -> None:
    requests = np.full((2, 20), 100)
    failing = Arm(requests, np.array([[0] * 4 + [10] * 16, [0] * 20]))
    rule = ArgoRollouts("", 60.0, Metric(failure_limit=3, success_at_least=0.95))
    assert rule.rolled_back_s(Series(15.0, failing, failing, failing)).tolist() == [300.0, np.inf]
    empty = Arm(np.zeros((1, 40)), np.zeros((1, 40)))
    assert rule.rolled_back_s(Series(15.0, empty, failing, failing)).tolist() == [300.0]
