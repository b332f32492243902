"""Reading what a step's tools have written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trimtab.core.model.report import ReportSpec, StepReport


class Reports(Protocol):
    """Reads files that come from whoever may push, and may have been made to do harm."""

    async def read(self, folder: Path, specs: Sequence[ReportSpec]) -> StepReport:
        """What they say. The files of each kind are in the folder of its name in `folder` (``junit/report.xml``).

        What cannot be read is said in the report (`unread`), and nothing else of that kind. Neither memory nor time
        that is needed depends on what is in them, only on how large they are, and nobody is held up meanwhile.
        Raises `report-io` when no reader can be started.
        """
        ...
