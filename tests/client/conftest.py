from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.server import Api, served
from trimtab.client import TrimtabClient


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with served(Api(tmp_path)) as running:
        yield running


@pytest.fixture
def client(api: Api) -> Iterator[TrimtabClient]:
    with api.client() as made:
        yield made
