"""Secrets in files that only their owner can read, and in the environment of Trimtab."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.identity import is_name
from trimtab.core.model.secret import SecretSpec
from trimtab.ports.processes import SHORTEST_SECRET
from trimtab.ports.secrets import LONGEST_BYTES, KeptSecret

PREFIX = "TRIMTAB_SECRET_"
"""Only variables that begin so are given to steps: a `trimtab.yaml` must not be able to ask for all the others."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class FileSecrets:
    """`Secrets` and `SecretStore` in ``HOME/APP/NAME``, else in the variable ``TRIMTAB_SECRET_APP_NAME`` or
    ``TRIMTAB_SECRET_NAME`` (the application's name in capitals, with ``_`` for ``-``)."""

    def __init__(self, home: Path, environment: Mapping[str, str], given: Mapping[str, str] | None = None) -> None:
        """`given`: secrets that come before all others, whatever the application."""
        self._home = home
        self._environment = environment
        self._given = given or {}

    async def values(self, app: str, commit: str, wanted: Sequence[SecretSpec]) -> dict[str, str]:
        del commit  # they are the same for all
        return {spec.name: await asyncio.to_thread(self._value, app, spec.name) for spec in wanted}

    def list(self, app: str) -> tuple[KeptSecret, ...]:
        found = {secret.name: secret for secret in self._in_environment(app)}
        found |= {secret.name: secret for secret in self._in_files(app)}
        return tuple(found[name] for name in sorted(found))

    def keep(self, app: str, name: str, value: str) -> None:
        _ensure_form(name, value)
        path = self._path(app, name)
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _write(path, value)
        except OSError as error:
            raise _unwritable(name, error, path) from None

    def remove(self, app: str, name: str) -> bool:
        path = self._path(app, name)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unwritable(name, error, path) from None
        return True

    # --- where they are ---

    def _path(self, app: str, name: str) -> Path:
        """Raises `TrimtabError` for what would lead elsewhere, or to what Trimtab keeps there for itself."""
        if not is_name(app) or not _NAME.fullmatch(name):
            hint = "letters, digits and `_`, as in OPENAI_API_KEY"
            raise failure("secret-form", f"`{name[:80]}` cannot be the name of a secret", hint)
        return self._home / app / name

    def _variables(self, app: str, name: str) -> tuple[str, str]:
        return f"{PREFIX}{app.upper().replace('-', '_')}_{name}", f"{PREFIX}{name}"

    def _value(self, app: str, name: str) -> str:
        if name in self._given:
            return self._given[name]
        file = self._path(app, name)
        try:
            # One line break at the end is what editors leave there.
            return file.read_bytes().decode().removesuffix("\n")
        except FileNotFoundError:
            pass
        except UnicodeDecodeError:
            raise failure("secret-unreadable", f"the secret {name} is no text", "write it anew", str(file)) from None
        except OSError as error:
            hint = "it must be readable for the user that runs Trimtab"
            message = f"the secret {name} cannot be read: {error.strerror}"
            raise failure("secret-unreadable", message, hint, str(file)) from None
        for variable in self._variables(app, name):
            if variable in self._environment:
                return self._environment[variable]
        hint = f"`trimtab secrets set {app} {name}`, or start Trimtab with the variable {self._variables(app, name)[0]}"
        raise failure("secret-missing", f"there is no secret {name} for {app}", hint, str(file))

    def _in_files(self, app: str) -> Iterator[KeptSecret]:
        folder = self._path(app, "_").parent
        for path in folder.iterdir() if folder.is_dir() else ():
            if _NAME.fullmatch(path.name):
                yield KeptSecret(path.name, "a file of Trimtab's", path.stat().st_mtime)

    def _in_environment(self, app: str) -> Iterator[KeptSecret]:
        """The application's own ones come last: they come before those of all."""
        own = self._variables(app, "")[0]
        for variable in sorted(self._environment, key=lambda name: name.startswith(own)):
            for prefix in (PREFIX, own):
                name = variable.removeprefix(prefix)
                if variable.startswith(prefix) and _NAME.fullmatch(name):
                    yield KeptSecret(name, f"the variable {variable}")


def is_of_steps(file: str) -> bool:
    """Whether a file of this name is a step's secret, and none of those that Trimtab needs for the application."""
    return _NAME.fullmatch(file) is not None


def _write(path: Path, value: str) -> None:
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(f"{value}\n".encode())
            file.flush()
            os.fsync(handle)
        os.replace(draft, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft)


def _ensure_form(name: str, value: str) -> None:
    said = ""
    if "\0" in value or len(value.encode("utf-8", "surrogatepass")) > LONGEST_BYTES:
        said = f"must be text of at most {LONGEST_BYTES // 1024} KiB"
    elif len(value.strip().replace("\r", "").replace("\n", "")) < SHORTEST_SECRET:
        said = f"must have at least {SHORTEST_SECRET} characters, or it could not be masked in logs"
    if said:
        raise failure("secret-form", f"the value of {name} {said}", "give another one", name)


def _unwritable(name: str, error: OSError, path: Path) -> TrimtabError:
    hint = "see the folder's permissions and its space"
    return failure("secret-unwritable", f"the secret {name} cannot be written: {error.strerror}", hint, str(path))
