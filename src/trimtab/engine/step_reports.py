"""The reports of a step that has ended: collected out of its workspace, and read."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.core.errors import TrimtabError
from trimtab.core.model.actions import KeepStep
from trimtab.core.model.report import MOST_REPORT_BYTES, ReportSpec, StepReport, UnreadReport, compared
from trimtab.ports.reports import Reports
from trimtab.ports.workspaces import Workspaces

_OF_THE_STEP = ("output-missing", "output-refused")
"""Why a report cannot be had that is the step's own doing."""


@dataclass(frozen=True, slots=True)
class StepReports:
    workspaces: Workspaces
    reports: Reports

    async def of(self, action: KeepStep, folder: Path) -> StepReport | None:
        """What the step reports; None: it reports nothing. `folder` is used for a while. Raises `TrimtabError` when
        neither the step nor its files are to blame."""
        if not action.step.reports:
            return None
        try:
            await _remove(folder)
            return await self._read(action, folder)
        finally:
            await _remove(folder)

    async def _read(self, action: KeepStep, folder: Path) -> StepReport | None:
        there: list[ReportSpec] = []
        unread: list[UnreadReport] = []
        for spec in action.step.reports:
            try:
                await self.workspaces.collect(action.process, spec.files, folder / spec.kind, MOST_REPORT_BYTES)
                there.append(spec)
            except TrimtabError as error:
                if error.problem.code not in _OF_THE_STEP:
                    raise
                unread.append(UnreadReport(spec.kind, error.problem.message))
        report = await self.reports.read(folder, there) if there else StepReport()
        return compared(replace(report, unread=(*unread, *report.unread)), action.coverage_pct)


async def _remove(folder: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
