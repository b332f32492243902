from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.git.labs import GitStateLab, MemoryStateLab
from trimtab.testing.state_repository_contract import STATE_CHECKS, StateCheck


@pytest.mark.parametrize("lab", [GitStateLab, MemoryStateLab])
@pytest.mark.parametrize("check", STATE_CHECKS, ids=lambda check: check.__name__)
async def test_state_repository(
    check: StateCheck, lab: type[GitStateLab] | type[MemoryStateLab], tmp_path: Path
) -> None:
    await check(lab(tmp_path))
