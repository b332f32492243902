"""Durations and percentages are written the way people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from trimtab.config.quantities import parse_duration, parse_percent, show_duration, show_percent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("1m5ms", 60.005), ("1.5h", 5400), ("2d", 172_800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "30", "5 m", "1m1h", "s", "-5s", "1h\n", "1e3s", True, None, [1], "5M"])
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(value)


@pytest.mark.parametrize(("value", "percent"), [(5, 5), (0.5, 0.5), ("5%", 5), ("12.5 %", 12.5)])
def test_percentages(value: object, percent: float) -> None:
    assert parse_percent(value) == percent


@pytest.mark.parametrize("value", ["5", "%", "-5%", "5 percent", "5%%", False, None, {}])
def test_what_is_no_percentage(value: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_percent(value)


@given(st.integers(0, 10**9))
def test_a_shown_duration_means_the_same(milliseconds: int) -> None:
    assert round(parse_duration(show_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(0, 10**5))
def test_a_shown_percentage_means_the_same(thousandths: int) -> None:
    assert parse_percent(show_percent(thousandths / 1000)) == thousandths / 1000
