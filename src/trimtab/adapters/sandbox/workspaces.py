"""The port `Workspaces`: an overlay, or a copy, of the layers; and the words that run a step in it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from trimtab.adapters.sandbox.collecting import Outputs
from trimtab.adapters.sandbox.command import sandboxed
from trimtab.adapters.sandbox.machine import Machine
from trimtab.adapters.sandbox.means import Means, find
from trimtab.adapters.sandbox.merged import Merged
from trimtab.adapters.sandbox.place import Place, Record, Way, fits_an_overlay, make_devices, write_users
from trimtab.adapters.sandbox.private_copy import PrivateCopy
from trimtab.adapters.sandbox.removal import empty, remove
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.ports.workspaces import MOST_BYTES, Isolation, Opened

_Result = TypeVar("_Result")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*(/[A-Za-z0-9][A-Za-z0-9._@-]*)*")
_LONGEST_NAME = 200
_TRIAL_S = 10.0
# What an overlay that only seems to work gets wrong; and whether there are devices, and nothing else is writable.
_TRIAL = """
set -e
rm -r old
mkdir old
touch old/new /tmp/x /dev/shm/x
echo fine > /dev/null
! touch /x 2> /dev/null
"""


class SandboxedWorkspaces:
    """Workspaces below the folder `home`. Steps see nothing of it, nor of the folders in `hidden`.

    `means`: one way of isolating, where the best one is not to be found out by trying.
    """

    def __init__(self, home: Path, hidden: Sequence[Path], means: Means | None = None) -> None:
        self._home = home.absolute()
        self._hidden = (self._home, *hidden)
        self._means: Means | Problem | None = means
        self._machine: Machine | None = None
        self._finding, self._lock = threading.Lock(), threading.Lock()
        self._swept = False

    def problem(self) -> Problem | None:
        means = self._found()
        return means if isinstance(means, Problem) else None

    @property
    def means(self) -> Means | None:
        """How steps are isolated here; None where they cannot be."""
        means = self._found()
        return None if isinstance(means, Problem) else means

    async def open(self, name: str, layers: Sequence[Path], isolation: Isolation) -> Opened:
        place = self._place(name)
        return await _in_thread(
            lambda: self._open(place, tuple(str(layer.absolute()) for layer in layers), isolation), name
        )

    async def collect(self, name: str, paths: Sequence[str], into: Path, most_bytes: int = MOST_BYTES) -> None:
        place = self._place(name)
        await _in_thread(lambda: self._collect(place, name, paths, into, most_bytes), name)

    async def close(self, name: str) -> None:
        place = self._place(name)
        await _in_thread(lambda: remove(place.folder, self._trash), name)

    # --- open --------------------------------------------------------------------------------------------------------

    def _open(self, place: Place, layers: tuple[str, ...], isolation: Isolation) -> Opened:
        self._sweep()
        record = place.read()
        if record is None:
            means = self._found() if isolation.sandbox else None
            if isinstance(means, Problem):
                raise TrimtabError(means)
            record = Record(_way(means, layers, place), layers, isolation)
            # Before anything is made: what cannot be shown is refused here.
            opened = self._opened(place, record)
            self._make(place, record)
            return opened
        return self._opened(place, record)

    def _make(self, place: Place, record: Record) -> None:
        for layer in record.layers:
            if not os.path.isdir(layer):
                raise failure("workspace-io", f"the layer {layer} is not there", "run the step that makes it again")
        remove(place.folder, self._trash)
        place.make(with_files=record.way == "overlay")
        if record.way != "plain":
            self._seen().make_drafts(place.folder)
        if record.way != "overlay":
            PrivateCopy(place.files, self._trash).lay([Path(layer) for layer in record.layers])
        place.write(record)

    def _opened(self, place: Place, record: Record) -> Opened:
        if record.way == "plain":
            return Opened((), str(place.files), str(place.folder))
        means = self._found()
        if isinstance(means, Problem):
            raise TrimtabError(means)
        return Opened(self._command(means, place, record), str(place.folder), str(place.folder))

    def _command(self, means: Means, place: Place, record: Record) -> tuple[str, ...]:
        machine = self._seen()
        with self._lock:
            users = tuple(write_users(self._home / "users"))
            devices = make_devices(self._home / "devices")
        return sandboxed(means, machine, place, record, users, devices)

    def _seen(self) -> Machine:
        with self._lock:
            self._machine = self._machine or Machine(self._hidden)
            return self._machine

    # --- collect -----------------------------------------------------------------------------------------------------

    def _collect(self, place: Place, name: str, paths: Sequence[str], into: Path, most_bytes: int) -> None:
        record = place.read()
        if record is None:
            raise failure("workspace-io", "the workspace is not open", "run the step again", name)
        overlay = record.way == "overlay"
        layers = (*(Path(layer) for layer in record.layers), place.files) if overlay else (place.files,)
        draft = into.with_name(f".{into.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        into.parent.mkdir(parents=True, exist_ok=True)
        try:
            Outputs(Merged(layers, overlay=overlay), draft, name, most_bytes).copy(paths)
            shutil.rmtree(into, ignore_errors=True)
            draft.rename(into)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    # --- once --------------------------------------------------------------------------------------------------------

    @property
    def _trash(self) -> Path:
        return self._home / "trash"

    def _place(self, name: str) -> Place:
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            hint = f"Use up to {_LONGEST_NAME} letters, digits, '.', '_', '@' and '-', in segments parted by '/'."
            raise failure("workspace-name", f"{name!r} cannot name a workspace.", hint)
        return Place(self._home / "open" / name.replace("/", "+"))

    def _sweep(self) -> None:
        """Once: what an earlier life did not finish removing."""
        with self._lock:
            swept, self._swept = self._swept, True
        if not swept:
            empty(self._trash)

    def _found(self) -> Means | Problem:
        with self._finding:
            if self._means is None:
                self._means = find(self._attempt)
            return self._means

    def _attempt(self, means: Means) -> str:
        """Run a command in a workspace; what went wrong."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="trial-", dir=self._home) as folder:
            layer, place = Path(folder, "layer"), Place(Path(folder, "place"))
            (layer / "old").mkdir(parents=True)
            (layer / "old" / "file").touch()
            record = Record("overlay" if means.overlays else "copy", (str(layer),), Isolation())
            try:
                self._make(place, record)
                argv = (*self._command(means, place, record), "/bin/sh", "-c", _TRIAL)
                ran = subprocess.run(
                    argv, capture_output=True, text=True, timeout=_TRIAL_S, env={"PATH": "/usr/bin:/bin"}
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
            finally:
                remove(place.folder, self._trash)
            return "" if ran.returncode == 0 else ran.stderr.strip() or f"the trial ended with {ran.returncode}"


def _way(means: Means | None, layers: Sequence[str], place: Place) -> Way:
    if means is None:
        return "plain"
    return "overlay" if means.overlays and fits_an_overlay(layers, place) else "copy"


async def _in_thread(work: Callable[[], _Result], name: str) -> _Result:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise failure("workspace-io", f"its files cannot be made or read: {error}", "check the disk", name) from error
