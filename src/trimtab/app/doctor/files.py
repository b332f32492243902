"""Does the folder belong to us, can it be written, and can others read what they should not?"""

from __future__ import annotations

import os
import pwd
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trimtab.app.doctor.place import READ_S, Place
from trimtab.app.folder import KEYS
from trimtab.app.folder import SECRETS as APP_SECRETS
from trimtab.core.say import count
from trimtab.views.findings import Finding, Severity

NAME = "files"
SECRETS = ("token", "api.json", "git/hook-endpoint")
_UNPACKED = ("artifacts/releases", "workspaces", "instances/state")
"""What instances and steps write is their business."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder. `path`: relative to the installation's folder; `.` is the folder itself."""

    path: str
    owner: int
    mode: int


def look(place: Place) -> Iterator[Finding]:
    items = tuple(_items(place.home))
    writable = os.access(place.home, os.W_OK | os.X_OK)
    yield from judge(place.home, items, os.geteuid(), writable)


def judge(home: Path, items: tuple[Item, ...], me: int, writable: bool) -> Iterator[Finding]:
    """`items`: the folder first. `me`: our user id."""
    owner, is_closed = items[0].owner, not items[0].mode & 0o011
    found = [
        *_ours(home, owner, me, writable),
        *_strangers(home, items, me),
        *([] if is_closed else _readable(home, items)),
    ]
    yield from found
    if not found:
        yield Finding(NAME, "ok", f"{count(len(items), 'file')} of {user(owner)}, who can write them.")
        if not is_closed:
            what = "Other users of this machine can look into the folder."
            do = f"chmod 700 {home}, if there are any"
            yield Finding(NAME, "note", what, "What is secret in it they cannot read.", do, str(home))


def _ours(home: Path, owner: int, me: int, writable: bool) -> Iterator[Finding]:
    if me not in (owner, 0):
        what = f"The folder belongs to {user(owner)}, and this is {user(me)}."
        do = f"run trimtab as {user(owner)}, or: chown -R {user(me)} {home}"
        yield Finding(NAME, "error", what, "Trimtab can work on a folder of its own user only.", do, str(home))
    if not writable:
        do = f"chmod u+rwx {home}; or is its disk mounted read-only?"
        yield Finding(NAME, "error", "The folder cannot be written.", "Nothing can be decided.", do, str(home))


def _strangers(home: Path, items: tuple[Item, ...], me: int) -> Iterator[Finding]:
    owner = items[0].owner
    strangers = [item for item in items if item.owner != owner]
    if strangers:
        first = strangers[0]
        number = count(len(strangers), "file")
        what = (
            f"The folder belongs to {user(owner)}, and {number} in it to others: {first.path} to {user(first.owner)}."
        )
        why = "A command was run as somebody else (root?); Trimtab may not be able to write them."
        severity: Severity = "error" if owner == me else "warning"
        yield Finding(NAME, severity, what, why, f"chown -R {user(owner)} {home}", str(home / first.path))


def _readable(home: Path, items: tuple[Item, ...]) -> Iterator[Finding]:
    for item in items:
        secret = _secret(item.path)
        if secret is not None and item.mode & 0o044:
            what, why = f"Other users of this machine can read {item.path}, {secret[0]}.", secret[1]
            do = f"chmod 600 {home / item.path}; chmod 700 {home}"
            yield Finding(NAME, "error", what, why, do, str(home / item.path))


def _secret(path: str) -> tuple[str, str] | None:
    """What is secret in it, and why; None: nothing is."""
    if path in SECRETS:
        return "which holds the API's token", "Who has the token may push, promote and read everything."
    if path.startswith(f"{APP_SECRETS}/"):
        why = "Who has them may do what the application may: at its forge, or in its name."
        return "where an application's secrets are", why
    if path == f"{KEYS}/release.key":
        return (
            "the key that signs releases",
            "Who has it can sign what no run has cut: make another, and revoke this one.",
        )
    return None


def user(uid: int) -> str:
    """A user's name, or number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _items(home: Path) -> Iterator[Item]:
    deadline = time.monotonic() + READ_S
    waiting = ["."]
    while waiting and time.monotonic() < deadline:
        place = waiting.pop(0)
        status = os.lstat(home / place)
        yield Item(place, status.st_uid, stat.S_IMODE(status.st_mode))
        if not stat.S_ISDIR(status.st_mode) or place in _UNPACKED:
            continue
        try:
            names = sorted(os.listdir(home / place))
        except OSError:
            continue
        waiting += [name if place == "." else f"{place}/{name}" for name in names]
