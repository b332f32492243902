"""What nobody may read but the steps it is given to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Secrets(Protocol):
    """The applications' secrets. Their values are never part of a fact, a key, a release or a log."""

    async def values(self, app: str, names: Sequence[str]) -> dict[str, str]:
        """The secrets by name. Raises `TrimtabError`: `secret-missing`, `secret-unreadable`."""
        ...
