"""The folder of an installation: who holds it, its secret, its private files."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trimtab.core.errors import failure
from trimtab.procfs import lockers

API = "api.json"
STORE, DATABASE = "trimtab.db", "database"
"""The store; or the URL of the database that it is in instead."""
SECRETS = "secrets"
"""The folder with what each application must not show: its forge's token, its webhook's secret."""
KEYS = "keys"
"""The folder with the key that signs releases, and those that are trusted."""
LOCK, JOINED = "lock", "lock.joined"
"""Held by the one controller that `trimtab up` started; by all that joined it with `trimtab up --join`."""


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the folder's lock: two controllers on one folder would act against each other."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "choose another folder with --home"
        raise failure("home-unwritable", f"{error.strerror}", hint, str(home)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hint = "`trimtab status` talks to it, `trimtab down` stops it, `trimtab up --join` adds another controller"
        raise failure("already-running", "Trimtab runs already", hint, str(home)) from None
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def alongside(home: Path) -> Iterator[None]:
    """Be one of several controllers on the folder: what they do to the same things is settled by leases and fences.
    Raises `TrimtabError` (`nothing-to-join`, `home-unwritable`)."""
    try:
        handle = os.open(home / JOINED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        hint = "start the first controller with `trimtab up`, or say with --home where it is"
        raise failure("nothing-to-join", "there is no installation here to join", hint, str(home)) from None
    except OSError as error:
        raise failure("home-unwritable", f"{error.strerror}", "run as the user whose folder it is", str(home)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def is_held(home: Path) -> bool:
    """Whether a controller holds the folder. Looks with a shared lock, so that two who look do not see each other."""
    try:
        handle = os.open(home / LOCK, os.O_RDONLY | os.O_CLOEXEC)
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
    return next(lockers(home / LOCK, "FLOCK", "WRITE"), None) or _written_pid(home)


def joined(home: Path) -> tuple[int, ...]:
    """The processes of the controllers that joined, as far as the kernel tells."""
    return tuple(lockers(home / JOINED, "FLOCK", "READ"))


def _written_pid(home: Path) -> int | None:
    try:
        return int(json.loads((home / API).read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def token_of(home: Path) -> str:
    """The installation's token, made once."""
    path = home / "token"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


# --- being found ---


def tell(home: Path, url: str, token: str) -> None:
    """Write where the commands find the API."""
    write_private(home / API, json.dumps({"url": url, "token": token, "pid": os.getpid()}))


def found(home: Path) -> bool:
    """Whether the commands find a controller that is alive."""
    pid = _written_pid(home)
    return pid is not None and pid != os.getpid() and Path(f"/proc/{pid}").exists()


def forget(home: Path, url: str) -> None:
    """Take back what was told, unless another controller has told its own meanwhile."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads((home / API).read_text())["url"] == url:
            (home / API).unlink(missing_ok=True)


# --- the database ---


def database_of(home: Path) -> str | None:
    """The URL of the database that the installation's store is in; None: it is the file STORE."""
    path = home / DATABASE
    return path.read_text().strip() if path.exists() else None


def keep_database(home: Path, url: str) -> None:
    """The store is in this database from now on. The URL may have a password in it, so nobody else may read it."""
    write_private(home / DATABASE, url)
