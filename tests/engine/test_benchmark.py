"""The engine's benchmark measures what it says, on few enough to be quick."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import _engine_scale, engine


def test_ticks_are_those_of_a_rollout_under_observation(tmp_path: Path) -> None:
    measured = engine.measure(tmp_path, 5)
    assert measured["ticks"] == 5
    assert measured["tick_p50_ms"] > 0


def test_idle_applications_are_all_looked_at(tmp_path: Path) -> None:
    assert _engine_scale.idle(tmp_path / "idle", 5, 0.0)["once_s"] > 0


def test_the_exponent_of_what_costs_the_same_each_is_one() -> None:
    assert _engine_scale.exponent({100: 0.02, 1_000: 0.2, 10_000: 2.0}) == pytest.approx(1.0)
