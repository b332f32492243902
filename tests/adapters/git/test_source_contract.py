from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.git.labs import GitSourceLab, MemorySourceLab
from trimtab.testing.source_contract import SOURCE_CHECKS, SourceCheck


@pytest.mark.parametrize("lab", [GitSourceLab, MemorySourceLab])
@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda check: check.__name__)
async def test_source(check: SourceCheck, lab: type[GitSourceLab] | type[MemorySourceLab], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    await check(lab(tmp_path), tmp_path / "folder")
