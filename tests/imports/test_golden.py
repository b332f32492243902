"""What Rollouts become, and what is said of every field; what cannot be imported, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports.golden import BAD, FOLDER, GOOD, configuration_of, pictures, problems, report_of
from trimtab.config import load


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_a_rollout_becomes_exactly_this(case: Path) -> None:
    configuration, report = pictures(case)
    assert configuration == configuration_of(case).read_text()
    assert report == report_of(case).read_text()
    load(configuration)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_what_cannot_be_imported_is_said(case: Path) -> None:
    assert problems(case) == report_of(case).read_text()


def test_every_golden_file_belongs_to_a_case() -> None:
    expected = {*GOOD, *map(configuration_of, GOOD), *map(report_of, GOOD), *BAD, *map(report_of, BAD)}
    assert len(GOOD) >= 7
    assert len(BAD) >= 15
    assert {path for path in FOLDER.rglob("*") if path.is_file()} == expected
