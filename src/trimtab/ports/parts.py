"""Whether the files that a release names are what they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from trimtab.core.model.contents import CheckedFiles
from trimtab.core.model.specification import ReleaseSpec


class PartFiles(Protocol):
    """Looks at prompts, configuration and flags before they are in a release. Raises `TrimtabError`
    (`release-check-io`) when that cannot be done now."""

    async def check(self, folder: Path, release: ReleaseSpec) -> CheckedFiles:
        """What is wrong with the files in the folder, whose makers are not trusted, and the variables of each prompt.
        Ends soon, whatever is in them."""
        ...
