"""The world that end-to-end tests live in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

import pytest

from tests.adapters.store.conftest import fresh_postgres
from tests.e2e.world import World, wait_for
from tests.postgres import postgres_url

__all__ = ["fresh_postgres", "postgres_url", "tidied", "world"]

W = TypeVar("W", bound=World)


@contextmanager
def tidied(kind: type[W]) -> Iterator[W]:
    """A planted installation that is not up yet; afterwards nothing of it may be left."""
    folder = Path(mkdtemp(prefix="trimtab-e2e-"))
    world = kind(folder)
    try:
        yield world
    finally:
        world.down()
        wait_for(lambda: not world.processes(), within_s=15.0, why="no process is left")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world() -> Iterator[World]:
    with tidied(World) as world:
        yield world
