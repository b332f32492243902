"""The Store's promises, kept by the real ones and by the one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.adapters.store_sql.opening import open_store
from trimtab.ports.store import Store
from trimtab.testing.memory_store import MemoryStore
from trimtab.testing.store_contract import STORE_CHECKS, StoreCheck


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    match request.param:
        case "sqlite":
            made: Store = open_store(tmp_path / "store.db")
        case "postgres":
            made = open_store(request.getfixturevalue("fresh_postgres")())
        case _:
            made = MemoryStore()
    yield made
    made.close()


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(check: StoreCheck, store: Store) -> None:
    check(store)
