"""The port `PartFiles` by a process that may use so much and no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

from trimtab.core.model.contents import CheckedFiles
from trimtab.core.model.specification import ReleaseSpec
from trimtab.parts import LIMITS, Limits, check


class LimitedPartFiles:
    """`PartFiles`. A release that names no files needs no process."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits

    async def check(self, folder: Path, release: ReleaseSpec) -> CheckedFiles:
        return await asyncio.to_thread(check, folder, release, limits=self._limits)
