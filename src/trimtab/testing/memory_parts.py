"""The port `PartFiles` for tests: files are looked at here and now, without limits on time and memory."""

from __future__ import annotations

from pathlib import Path

from trimtab.core.model.contents import CheckedFiles
from trimtab.core.model.specification import ReleaseSpec
from trimtab.parts.apart import LIMITS, checked
from trimtab.parts.looked import things
from trimtab.parts.looking import look


class MemoryPartFiles:
    async def check(self, folder: Path, release: ReleaseSpec) -> CheckedFiles:
        return checked(tuple(look(folder, release, things(release), LIMITS.output_bytes)), may_be_absent=False)
