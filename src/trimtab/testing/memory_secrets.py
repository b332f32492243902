"""Secrets in memory."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.errors import failure
from trimtab.core.model.secret import SecretSpec


class MemorySecrets:
    """`Secrets` that the test sets: `known` by application and name. None: there is one, and it cannot be read."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str | None] = {}

    async def values(self, app: str, commit: str, wanted: Sequence[SecretSpec]) -> dict[str, str]:
        del commit
        found: dict[str, str] = {}
        for spec in wanted:
            if (app, spec.name) not in self.known:
                raise failure("secret-missing", f"there is no secret {spec.name} for {app}", "set it", spec.name)
            value = self.known[app, spec.name]
            if value is None:
                raise failure("secret-unreadable", f"the secret {spec.name} cannot be read", "mend it", spec.name)
            found[spec.name] = value
        return found
