"""Where the runs of one working tree are kept: its cache, its logs, its store."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trimtab.core.errors import failure
from trimtab.procfs import lockers

OF_SERVER = ".trimtab"
"""The folder of an installation that was begun here with `trimtab up`."""
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Place:
    """`top`: the folder with trimtab.yaml; `home`: what is kept of its runs. Another folder has another home."""

    top: Path
    home: Path

    @classmethod
    def of(cls, top: Path, variables: Mapping[str, str]) -> Place:
        """Below $XDG_CACHE_HOME (``~/.cache``): all of it may be removed, and is made anew."""
        real = top.resolve()
        said = variables.get("XDG_CACHE_HOME", "")
        cache = Path(said) if said.startswith("/") else Path.home() / ".cache"
        token = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
        return cls(real, cache / "trimtab" / "run" / f"{real.name or 'root'}-{token}")

    @property
    def hidden(self) -> tuple[Path, ...]:
        """What no step may see: what is kept of all local runs, and the folder of an installation."""
        return (self.home.parent, self.top / OF_SERVER)

    @contextmanager
    def alone(self, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the place: runs of one working tree go one after the other, as the server's do. `say` is told, in a
        sentence, whom one waits for. Raises `TrimtabError` (`home-unwritable`)."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            hint = "let XDG_CACHE_HOME name a folder that can be written to"
            raise failure("home-unwritable", f"{error.strerror}", hint, str(self.home)) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = next(lockers(self.home / _LOCK, "FLOCK", "WRITE"), None)
                who = f" (process {other})" if other else ""
                say(f"waiting for another `trimtab run` of this folder{who} to end")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
