"""The model of Kayenta's judge has the known properties of the real one."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.rivals.kayenta import HIGH, LOW, NODATA, PASS, Comparison, Kayenta, classify, score
from benchmarks.rivals.series import Arm, Series
from scipy.stats import mannwhitneyu


def test_seven_of_ten_points_a_hundred_times_as_high_pass() -> None:
    """spinnaker#6278."""
    control = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.01, 0.99, 1.03])
    experiment = np.concatenate((control[:3], 100 * control[3:]))
    assert classify(experiment, control) == PASS
    assert classify(100 * control, control) == HIGH


def test_two_points_are_enough_when_they_are_apart() -> None:
    assert classify(np.array([2.0, 2.1]), np.array([1.0, 1.1])) == HIGH
    assert classify(np.array([1.0, 1.1]), np.array([2.0, 2.1])) == PASS
    assert classify(np.array([1.0, 1.1]), np.array([2.0, 2.1]), "either") == LOW


def test_the_size_of_the_difference_counts_only_relative_to_itself() -> None:
    chance = np.random.default_rng(1)
    control = chance.normal(10.0, 0.1, 60)
    assert classify(control + 0.5, chance.permutation(control)) == HIGH
    assert classify(control, chance.permutation(control)) == PASS


@pytest.mark.parametrize(
    ("experiment", "control", "word"),
    [
        ([], [1.0], NODATA),
        ([np.nan], [1.0], NODATA),
        ([3.0, 3.0], [3.0, 3.0, 3.0], PASS),
        ([1.0, 2.0], [2.0, 1.0], PASS),
        ([5.0] * 10, [1.0] * 10, HIGH),  # constants are told apart with a little noise
    ],
)
def test_special_cases(experiment: list[float], control: list[float], word: str) -> None:
    assert classify(np.array(experiment), np.array(control)) == word


def test_the_interval_is_where_the_test_stops_rejecting() -> None:
    chance = np.random.default_rng(2)
    x, y = chance.normal(1.0, 1.0, 30), chance.normal(0.0, 1.0, 40)
    found = Comparison(x, y)
    assert found.low < found.estimate < found.high
    assert found.estimate == pytest.approx(np.median(x[:, None] - y), abs=0.01)  # anywhere between the two middle ones
    for end, side in ((found.low, "greater"), (found.high, "less")):
        inside, outside = (
            mannwhitneyu(x - end + move, y, alternative=side, method="asymptotic").pvalue
            for move in ((-0.005, 0.005) if side == "greater" else (0.005, -0.005))
        )
        assert outside <= 0.0105
        assert inside >= 0.0095


def test_a_worse_release_passes_more_often() -> None:
    """At 20 requests a minute 3 % of errors are caught more often than 5 %."""
    chance = np.random.default_rng(3)

    def caught(errors: float) -> float:
        points = ((chance.binomial(20, rate, 60) / 0.2 for rate in (errors, 0.01)) for _ in range(150))
        return float(np.mean([classify(experiment, control) == HIGH for experiment, control in points]))

    found = {errors: caught(errors) for errors in (0.01, 0.03, 0.05, 0.07)}
    assert found[0.01] < 0.03
    assert 0.45 < found[0.03] < 0.75
    assert 0.15 < found[0.05] < 0.45
    assert found[0.07] > 0.8


def test_scores() -> None:
    assert score([PASS, PASS, HIGH, PASS]) == 75.0
    assert score([PASS, NODATA]) == 0.0
    assert score([PASS, PASS, NODATA]) == 100.0


def test_an_analysis_judges_at_each_interval() -> None:
    chance = np.random.default_rng(4)
    requests = np.full((2, 240), 1000)
    bad = np.stack((chance.poisson(50, 240), chance.poisson(10, 240)))
    series = Series(15.0, Arm(requests, bad), Arm(requests, bad), Arm(requests, chance.poisson(10, (2, 240))))
    assert Kayenta("", 1200.0, 3600.0).rolled_back_s(series).tolist() == [1200.0, np.inf]
