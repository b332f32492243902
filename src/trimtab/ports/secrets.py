"""What nobody may read but the steps it is given to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trimtab.core.model.secret import SecretSpec


class Secrets(Protocol):
    """The applications' secrets. Their values are never part of a fact, a key, a release, a log or an error."""

    async def values(self, app: str, commit: str, wanted: Sequence[SecretSpec]) -> dict[str, str]:
        """The secrets by name, as the commit says where they are.

        Raises `TrimtabError`: `secret-missing`, `secret-unreadable`, and `secret-store-unreachable` for what may well
        be there, were it only answered for."""
        ...


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A secret without its value. `place`: where it is, in words. `set_at`: when it was written, if that is known."""

    name: str
    place: str
    set_at: float | None = None


class SecretStore(Protocol):
    """The secrets that Trimtab keeps itself. Each is text of at most `LONGEST_BYTES`."""

    def list(self, app: str) -> tuple[KeptSecret, ...]:
        """All that steps of the application can have from here, sorted by name."""
        ...

    def keep(self, app: str, name: str, value: str) -> None:
        """Set it; whole or not at all. Raises `TrimtabError`: `secret-form`, `secret-unwritable`."""
        ...

    def remove(self, app: str, name: str) -> bool:
        """Whether there was one to remove. Raises `TrimtabError` (`secret-unwritable`)."""
        ...


LONGEST_BYTES = 64 * 1024
