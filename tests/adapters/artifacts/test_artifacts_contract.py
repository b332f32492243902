from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.adapters.artifacts import FileArtifacts
from trimtab.ports.artifacts import Artifacts
from trimtab.testing.artifacts_contract import ARTIFACTS_CHECKS, ArtifactsCheck
from trimtab.testing.memory_artifacts import MemoryArtifacts


@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("check", ARTIFACTS_CHECKS, ids=lambda check: check.__name__)
async def test_artifacts(check: ArtifactsCheck, kind: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    artifacts: Artifacts = FileArtifacts(store, grace_s=0) if kind == "file" else MemoryArtifacts(store)
    (tmp_path / "work").mkdir()
    await check(artifacts, tmp_path / "work")
