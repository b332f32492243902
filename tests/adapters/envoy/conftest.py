from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.adapters.envoy.rig import EnvoyRig, running_gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EnvoyRig]:
    """One Envoy for all tests of a module; each test has an environment of its own."""
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running
