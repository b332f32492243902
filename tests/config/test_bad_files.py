"""A wrong file gives all its problems at once, each at its place, in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.golden import BAD, CASES, picture


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_bad_file_gives_exactly_its_problems(case: Path) -> None:
    assert picture(case) == case.with_suffix(".txt").read_text()


def test_every_picture_has_its_file() -> None:
    assert len(CASES) >= 20
    assert sorted(path.stem for path in BAD.glob("*.txt")) == [case.stem for case in CASES]
