"""The model of PipeCD does what metrics_analyzer.go does."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.rivals.pipecd import PipeCD
from benchmarks.rivals.series import Arm, Series


def minutes(*error_pct: float, requests: int = 100) -> Arm:
    pct = np.array([error_pct])
    return Arm(np.full(pct.shape, requests), pct * requests / 100.0)


@pytest.mark.parametrize(
    ("limit", "error_pct", "ended_s"),
    [
        (0, (1, 3, 1), 120.0),
        (1, (1, 3, 1, 3), 240.0),
        (1, (1, 3, 1, 1), np.inf),
        (0, (2, 2, 2), np.inf),
        (0, (1, 1, 1, 1, 9), np.inf),  # after its duration
    ],
)
def test_threshold(limit: int, error_pct: tuple[float, ...], ended_s: float) -> None:
    rule = PipeCD("", "threshold", 60.0, 240.0, limit, max_error_pct=2.0)
    arm = minutes(*error_pct)
    assert rule.rolled_back_s(Series(60.0, arm, arm, arm)).tolist() == [ended_s]


def test_a_threshold_passes_without_points_and_promotes() -> None:
    rule = PipeCD("", "threshold", 60.0, 240.0, max_error_pct=2.0)
    empty = minutes(0, 0, 0, requests=0)
    assert rule.rolled_back_s(Series(60.0, empty, empty, empty)).tolist() == [np.inf]
    assert rule.promotes_without_data


def test_a_comparison_needs_four_points_apart_and_knows_no_size() -> None:
    rule = PipeCD("", "baseline", 60.0, 600.0, points=4)
    high, low, same = np.array([[1.0001, 1.0002, 1.0003, 1.0004]]), np.array([[1.0, 0.9, 0.8, 0.7]]), np.ones((1, 4))
    assert not rule.expected(high, low)[0]
    assert not rule.expected(low, high)[0]  # two-sided: better is a failure, too
    assert rule.expected(high[:, :3], low[:, :3])[0]
    assert rule.expected(same, same)[0]


def test_a_comparison_without_data() -> None:
    rule = PipeCD("", "baseline", 60.0, 600.0, points=2)
    none, some = np.full((1, 2), np.nan), np.ones((1, 2))
    assert rule.expected(none, none)[0]
    assert not rule.expected(none, some)[0]
    assert not rule.expected(some, none)[0]


def test_every_look_is_a_new_chance_to_be_wrong() -> None:
    """5 % at one look, about 40 % at ten."""
    chance = np.random.default_rng(5)
    requests = np.full((1000, 200), 500)
    arms = [Arm(requests, chance.poisson(20, requests.shape)) for _ in range(3)]
    rule = PipeCD("", "baseline", 300.0, 3000.0, points=20)
    ended = rule.rolled_back_s(Series(15.0, *arms))
    assert 0.03 < np.mean(ended == 300.0) < 0.075
    assert 0.33 < np.mean(np.isfinite(ended)) < 0.47
