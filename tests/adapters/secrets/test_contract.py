"""Secrets in all their places keep the port's promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.secrets.benches import FileBench, MemoryBench, SopsBench, VaultBench
from trimtab.testing.secrets_contract import CHECKS, SecretsBench, SecretsCheck

Make = Callable[[Path], SecretsBench]


@pytest.fixture(params=[FileBench, MemoryBench, SopsBench, VaultBench])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecretsBench]:
    make: Make = request.param
    made = make(tmp_path)
    yield made
    if isinstance(made, VaultBench):
        made.vault.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_secrets_keep_their_promises(bench: SecretsBench, check: SecretsCheck) -> None:
    await check(bench)
