"""What is said of bad files of a release, word for word."""

from __future__ import annotations

from tests.parts.golden import FILE, picture


def test_bad_files_give_exactly_these_problems() -> None:
    assert picture() == FILE.read_text(), "look at the difference; then: python -m tests.parts.golden"
