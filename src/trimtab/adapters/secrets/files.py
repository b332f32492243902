"""Secrets in files that only their owner can read, and in the environment of Trimtab."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from trimtab.core.errors import failure

PREFIX = "TRIMTAB_SECRET_"
"""Only variables that begin so are given to steps: a `trimtab.yaml` must not be able to ask for all the others."""


class FileSecrets:
    """`Secrets` in ``HOME/APP/NAME``, else in the variable ``TRIMTAB_SECRET_APP_NAME`` or ``TRIMTAB_SECRET_NAME`` (the
    application's name in capitals, with ``_`` for ``-``)."""

    def __init__(self, home: Path, environment: Mapping[str, str], given: Mapping[str, str] | None = None) -> None:
        """`given`: secrets that come before all others, whatever the application."""
        self._home = home
        self._environment = environment
        self._given = given or {}

    async def values(self, app: str, names: Sequence[str]) -> dict[str, str]:
        return {name: await asyncio.to_thread(self._value, app, name) for name in names}

    def _value(self, app: str, name: str) -> str:
        if name in self._given:
            return self._given[name]
        file = self._home / app / name
        try:
            # One line break at the end is what editors leave there.
            return file.read_text().removesuffix("\n")
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError) as error:
            hint = "it must be text, and readable for the user that runs Trimtab"
            raise failure("secret-unreadable", f"the secret {name} cannot be read: {error}", hint, str(file)) from None
        own = f"{PREFIX}{app.upper().replace('-', '_')}_{name}"
        for variable in (own, f"{PREFIX}{name}"):
            if variable in self._environment:
                return self._environment[variable]
        hint = f"write it to {file}, or start Trimtab with the variable {own}"
        raise failure("secret-missing", f"there is no secret {name} for {app}", hint, str(file))
