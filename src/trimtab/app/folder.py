"""The folder of an installation: who holds it, its secret, its private files."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.core.errors import failure


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the folder's lock: two controllers on one folder would act against each other."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "choose another folder with --home"
        raise failure("home-unwritable", f"{error.strerror}", hint, str(home)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hint = "`trimtab status` talks to it; `trimtab down` stops it"
        raise failure("already-running", "Trimtab runs already", hint, str(home)) from None
    try:
        yield
    finally:
        os.close(handle)


def is_held(home: Path) -> bool:
    """Whether a controller holds the folder. Looks with a shared lock, so that two who look do not see each other."""
    try:
        handle = os.open(home / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def holder(home: Path) -> int | None:
    """The process that holds the folder: as the kernel says, else as the controller wrote. None: nobody can tell."""
    try:
        status, locks = (home / "lock").stat(), Path("/proc/locks").read_text().splitlines()
    except OSError:
        return _written_pid(home)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in locks:
        # ``5: FLOCK  ADVISORY  WRITE 4242 fe:01:1311 0 EOF``; an arrow stands before those that wait.
        words = line.split()
        if words[1] == "FLOCK" and words[3] == "WRITE" and words[5] == place and int(words[4]) > 0:
            return int(words[4])
    return _written_pid(home)


def _written_pid(home: Path) -> int | None:
    try:
        return int(json.loads((home / "api.json").read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def token_of(home: Path) -> str:
    """The installation's token, made once."""
    path = home / "token"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
