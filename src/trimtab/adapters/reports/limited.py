"""The port `Reports`: small files are read at once, larger ones by a process that may use so much and no more.

A parser holds up all threads of its process for as long as it likes, and a document of 50 MB can be written so that it
takes gigabytes of memory: that must be nobody's but its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

import trimtab
from trimtab.core.errors import failure
from trimtab.core.model.report import ReportSpec, StepReport
from trimtab.reports import read
from trimtab.reports.reading import unread

SMALL_BYTES = 128 * 1024
"""Read within the hundredth of a second."""
_LONGEST_S = 120.0
_SPECS: TypeAdapter[tuple[ReportSpec, ...]] = TypeAdapter(tuple[ReportSpec, ...])
_REPORT = TypeAdapter(StepReport)


class LimitedReports:
    """`Reports`. `small_bytes`: how much is read without a process of its own."""

    def __init__(self, small_bytes: int = SMALL_BYTES) -> None:
        self._small_bytes = small_bytes

    async def read(self, folder: Path, specs: Sequence[ReportSpec]) -> StepReport:
        if await asyncio.to_thread(_size, folder) <= self._small_bytes:
            return await asyncio.to_thread(read, folder, specs)
        report = await self._read_apart(folder, specs)
        if report is not None:
            return report
        # One of them is too much: each alone, so that the others are known.
        whole = StepReport()
        for spec in specs:
            alone = await self._read_apart(folder, [spec]) if len(specs) > 1 else None
            why = "reading it takes more than a minute or 1 GiB of memory"
            whole = _both(whole, alone) if alone is not None else unread(whole, spec.kind, why)
        return whole

    async def _read_apart(self, folder: Path, specs: Sequence[ReportSpec]) -> StepReport | None:
        """None: it took too much."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "trimtab.reports", str(folder)),
                env=_environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            message = f"no process can be started that reads reports: {error.strerror}"
            raise failure("report-io", message, "see how many processes and how much memory there are") from error
        try:
            async with asyncio.timeout(_LONGEST_S):
                said, _ = await process.communicate(_SPECS.dump_json(tuple(specs)))
            return _REPORT.validate_json(said)
        except (TimeoutError, ValidationError):
            return None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _environment() -> Mapping[str, str]:
    """The reader is of the same version as we are, wherever that is installed."""
    return {**os.environ, "PYTHONPATH": str(Path(trimtab.__file__).parents[1])}


def _size(folder: Path) -> int:
    return sum(os.lstat(os.path.join(inner, name)).st_size for inner, _, names in os.walk(folder) for name in names)


def _both(one: StepReport, other: StepReport) -> StepReport:
    return StepReport(
        tests=one.tests or other.tests,
        coverage=one.coverage or other.coverage,
        findings=one.findings or other.findings,
        components=other.components if one.components is None else one.components,
        load=one.load or other.load,
        unread=(*one.unread, *other.unread),
    )
