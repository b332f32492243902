"""In which order tests run."""

from __future__ import annotations

import pytest

FIRST = "e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones begin first: then short ones are left for the end, where one of two runners would have to wait."""
    items.sort(key=lambda item: FIRST not in item.path.parts)
