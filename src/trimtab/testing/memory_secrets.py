"""Secrets in memory."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.errors import failure


class MemorySecrets:
    """`Secrets` that the test sets: `known` by application and name."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str] = {}

    async def values(self, app: str, names: Sequence[str]) -> dict[str, str]:
        for name in names:
            if (app, name) not in self.known:
                raise failure("secret-missing", f"there is no secret {name} for {app}", "set it", name)
        return {name: self.known[app, name] for name in names}
