"""What a machine and its programs are known by."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from trimtab.adapters.artifacts.blobs import file_digest
from trimtab.core.errors import failure

_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


class Toolchain:
    """Names the machine and some of its programs. `path`: where programs are looked for (as in $PATH)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._machine = _machine()
        self._digests: dict[tuple[str, int, int, int], str] = {}
        """Of programs, by what changes when they do: programs are large."""

    def named(self, tools: Sequence[str]) -> str:
        """Differs when the machine is of another kind or one of the programs is another file. Raises `tool-missing`."""
        parts = [self._machine, *(f"{tool} {self._digest(tool)}" for tool in sorted(set(tools)))]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _digest(self, tool: str) -> str:
        found = shutil.which(tool, path=self._path)
        if found is None:
            hint = "install it, or take it out of the step's `tools`"
            raise failure("tool-missing", f"there is no program `{tool}` on this machine", hint, "tools")
        real = os.path.realpath(found)
        status = os.stat(real)
        known_by = (real, status.st_ino, status.st_size, status.st_mtime_ns)
        if known_by not in self._digests:
            self._digests[known_by] = file_digest(Path(real))
        return self._digests[known_by] + _chosen_version(Path(real))


def _chosen_version(program: Path) -> str:
    """Which one a program in the `shims` of pyenv, rbenv, nodenv begins, where the files of a step do not say it."""
    if program.parent.name != "shims":
        return ""
    try:
        return f" {(program.parent.parent / 'version').read_text(errors='replace')}"
    except OSError:
        return ""


def _machine() -> str:
    for name in _RELEASE:
        try:
            system = Path(name).read_text(errors="replace")
        except OSError:
            continue
        return f"{platform.system()} {platform.machine()} {system}"
    return f"{platform.system()} {platform.machine()} {platform.release()}"
