"""The port `Reports` for tests: files are read here and now, without limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimtab.core.model.report import ReportSpec, StepReport
from trimtab.reports import read


class MemoryReports:
    async def read(self, folder: Path, specs: Sequence[ReportSpec]) -> StepReport:
        return read(folder, specs)
