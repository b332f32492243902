"""What tests of metrics share: HTTP endpoints on loopback, and a database server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.adapters.measurements.endpoint import Endpoint
from tests.postgres import postgres_url

__all__ = ["endpoint", "postgres_url"]


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint() as server:
        yield server
