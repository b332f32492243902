"""The contract of forges, on the real adapter with each kind of forge and on the one in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.forges.labs import KINDS, a_lab
from trimtab.adapters.forges import FileForgeSecrets
from trimtab.ports.forge import ForgeSecrets
from trimtab.testing.forge_contract import FORGE_CHECKS, SECRETS_CHECKS, ForgeCheck, SecretsCheck
from trimtab.testing.memory_forges import MemoryForgeSecrets


@pytest.mark.parametrize("kind", [*KINDS, "memory"])
@pytest.mark.parametrize("check", FORGE_CHECKS, ids=lambda check: check.__name__)
async def test_forges(check: ForgeCheck, kind: str) -> None:
    with a_lab(kind) as lab:
        try:
            await check(lab)
        finally:
            await lab.forges.aclose()


@pytest.mark.parametrize("kind", ["files", "memory"])
@pytest.mark.parametrize("check", SECRETS_CHECKS, ids=lambda check: check.__name__)
async def test_secrets(check: SecretsCheck, kind: str, tmp_path: Path) -> None:
    secrets: ForgeSecrets = FileForgeSecrets(tmp_path / "secrets") if kind == "files" else MemoryForgeSecrets()
    await check(secrets)
