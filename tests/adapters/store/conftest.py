"""Places where a store can be."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.postgres import postgres_url

__all__ = ["fresh_postgres", "place", "postgres_url"]

Place = Path | str
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def fresh_postgres(postgres_url: str) -> Callable[[], str]:
    """Makes an empty schema; its URL."""

    def make() -> str:
        name = f"store_{next(_numbers)}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{postgres_url}?options=-csearch_path%3D{name}"

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where no store is yet."""
    if request.param == "sqlite":
        return tmp_path / "store.db"
    url: str = request.getfixturevalue("fresh_postgres")()
    return url
