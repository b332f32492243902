"""The API page says what the API is."""

from __future__ import annotations

from pathlib import Path

from trimtab.api.reference import page

PAGE = Path(__file__).parents[2] / "docs/reference/api.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "make it anew: python -m trimtab.api.reference > docs/reference/api.md"
