"""Where pipeline steps work: each in files of its own, and as far as the machine allows out of sight of all else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trimtab.core.errors import Problem

MOST_BYTES = 64 * 1024**3
"""Of all outputs of a step together."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What a step sees of the machine."""

    sandbox: bool = True
    """False: it runs like any other process of this user, in a folder of its own."""
    network: bool = False
    """False: it has a loopback interface of its own, and nothing else."""
    read: tuple[str, ...] = ()
    """Further folders of the machine that it may read, beside the system's programs and libraries."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A workspace that is ready. A command runs in it as ``(*argv, *command)`` with the folder `cwd`."""

    argv: tuple[str, ...]
    cwd: str
    folder: str
    """Where all that the step writes is kept: what a limit on disk space counts."""


class Workspaces(Protocol):
    """Folders for steps. A step may change what is in its layers as it likes: it changes a copy of its own.

    Errors are `TrimtabError`: `sandbox-unavailable` (with why, and how to go on without), `sandbox-read` (a folder of
    `Isolation.read` that cannot be shown), `workspace-name`, `workspace-io`, and those of `collect`.
    """

    def problem(self) -> Problem | None:
        """Why steps cannot be isolated on this machine; None when they can. Found out once."""
        ...

    async def open(self, name: str, layers: Sequence[Path], isolation: Isolation) -> Opened:
        """A workspace with the files of all layers, where two have the same path that of the later one. Layers must
        stay as they are while it is open. Idempotent: one that is open already is left as it is. `name` reads like the
        name of a process (``step/shop/12/test/1``)."""
        ...

    async def collect(self, name: str, paths: Sequence[str], into: Path, most_bytes: int = MOST_BYTES) -> None:
        """Copy these files and folders, as they are now, to the new folder `into` (which appears whole or not at all).

        Links are kept as links. Raises `output-missing` for a path that is not there, and `output-refused` for a link
        that leads out of the workspace, for sockets, devices and pipes, and where it is more than `most_bytes`.
        """
        ...

    async def close(self, name: str) -> None:
        """Remove it and what was written in it. Idempotent."""
        ...
