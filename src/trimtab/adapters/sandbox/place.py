"""The folders of workspaces on disk, and the few files that all of them share."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from trimtab.ports.workspaces import Isolation

Way = Literal["overlay", "copy", "plain"]
"""How the files got there: merged by the kernel; copied, and seen in a sandbox; copied, and without one."""

STEP_ID = 1000
"""User and group that every step is inside, whoever it is outside: so it is the same on a laptop and on a server."""
STEP_HOME = "/tmp/home"
_USERS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n"
    f"step:x:{STEP_ID}:{STEP_ID}:step:{STEP_HOME}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": f"root:x:0:\nstep:x:{STEP_ID}:\nnogroup:x:65534:\n",
}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Record:
    """What an open workspace is made of. Kept beside its files, where a sandboxed step does not see it."""

    way: Way
    layers: tuple[str, ...]
    isolation: Isolation


@dataclass(frozen=True, slots=True)
class Place:
    """One workspace."""

    folder: Path

    @property
    def files(self) -> Path:
        """The copy of the layers, or with an overlay what was written on top of them."""
        return self.folder / "files"

    @property
    def work(self) -> Path:
        """The overlay's own."""
        return self.folder / "work"

    @property
    def tmp(self) -> Path:
        return self.folder / "tmp"

    @property
    def shm(self) -> Path:
        return self.folder / "shm"

    def make(self, *, with_files: bool) -> None:
        """The empty folders."""
        self.folder.mkdir(mode=0o700, parents=True)
        for path in (self.work, self.tmp, self.tmp / "home", self.shm, *([self.files] if with_files else [])):
            path.mkdir(mode=0o755)

    def read(self) -> Record | None:
        """None: it is not open, or was left half made."""
        try:
            said = json.loads((self.folder / "opened.json").read_text())
            isolation = said["isolation"]
            isolation["read"] = tuple(isolation["read"])
            return Record(said["way"], tuple(said["layers"]), Isolation(**isolation))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """From now on it is open."""
        draft = self.folder / "opened.new"
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(self.folder / "opened.json")


def write_users(folder: Path) -> Iterator[str]:
    """The users that a step sees; arguments for bubblewrap."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in _USERS.items():
        path = folder / name
        if not path.exists() or path.read_text() != content:
            draft = folder / f"{name}.{os.getpid()}"
            draft.write_text(content)
            draft.chmod(0o644)
            draft.replace(path)
        if os.path.exists(f"/etc/{name}"):
            yield from ("--ro-bind", str(path), f"/etc/{name}")


def make_devices(folder: Path) -> Path | None:
    """Device files that belong to nobody, for a user to whom those in /dev belong: its steps could take away others'
    permissions there. None where there is no need. Raises OSError."""
    if os.stat("/dev/null").st_uid != os.geteuid():
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _DEVICES:
        path, number = folder / name, os.stat(f"/dev/{name}").st_rdev
        if path.exists() and path.stat().st_rdev == number and path.stat().st_uid == _NOBODY:
            continue
        draft = folder.parent / f".{name}.{os.getpid()}"
        os.mknod(draft, 0o666 | stat.S_IFCHR, number)
        os.chmod(draft, 0o666)
        os.chown(draft, _NOBODY, _NOBODY)
        draft.replace(path)
    return folder


def fits_an_overlay(layers: Sequence[str], place: Place) -> bool:
    """Whether the kernel takes so many layers: their paths must fit into one page of memory."""
    needed = sum(len(os.fsencode(path)) + 12 for path in (*layers, str(place.files), str(place.work)))
    return 0 < len(layers) <= 400 and needed < 3600
