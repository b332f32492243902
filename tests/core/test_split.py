"""Shares that are not as they should be are found, and only those."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.stats.evidence import SplitTick
from trimtab.core.stats.split import Split, update

part = st.floats(0.01, 0.99)


@given(st.integers(0, 12), part, part)
def test_the_evidence_is_fair_while_the_split_is_as_it_should_be(number: int, first: float, then: float) -> None:
    """Whatever came before: the expected factor of a tick is 1."""
    before = update(Split(), [SplitTick(3, 5, first)])
    gained = sum(
        math.comb(number, k)
        * then**k
        * (1 - then) ** (number - k)
        * math.exp(update(before, [SplitTick(k, number - k, then)]).log_e - before.log_e)
        for k in range(number + 1)
    )
    assert gained == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=10), part)
def test_the_names_of_the_arms_do_not_matter(ticks: list[tuple[int, int]], expected: float) -> None:
    one = update(Split(), [SplitTick(a, b, expected) for a, b in ticks])
    other = update(Split(), [SplitTick(b, a, 1 - expected) for a, b in ticks])
    assert one.log_e == pytest.approx(other.log_e)


@pytest.mark.parametrize(("expected", "real"), [(0.05, 0.08), (0.5, 0.45), (0.1, 0.02), (0.05, 0.5)])
def test_a_wrong_share_is_found(expected: float, real: float) -> None:
    chance, split = random.Random(4), Split()
    for _ in range(200):
        arrived = sum(chance.random() < real for _ in range(100))
        split = update(split, [SplitTick(arrived, 100 - arrived, expected)])
    assert split.broken


def test_a_right_share_is_left_alone_while_it_rises() -> None:
    chance, broken = random.Random(5), 0
    for _ in range(100):
        split = Split()
        for minute in range(60):
            expected = 0.05 + 0.45 * minute / 60
            arrived = sum(chance.random() < expected for _ in range(100))
            split = update(split, [SplitTick(arrived, 100 - arrived, expected)])
        broken += split.broken
    assert broken <= 2


def test_what_was_broken_stays_so() -> None:
    broken = update(Split(), [SplitTick(100, 0, 0.5)])
    assert broken.broken
    assert update(broken, [SplitTick(0, 100, 0.5)]).broken


def test_no_overflow_at_a_billion_arrivals() -> None:
    assert math.isfinite(update(Split(), [SplitTick(10**9, 10**9, 0.05)]).log_e)
