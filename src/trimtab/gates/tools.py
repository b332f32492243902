"""Programs that gates run: of the project where it has them, else those beside Trimtab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from trimtab.core.errors import failure


def interpreter(name: str) -> str:
    """The project's Python: a path, or a name that is looked for on PATH. Raises `TrimtabError` (`gate-input`)."""
    found = shutil.which(name)
    if found is None:
        hint = "name one with `--python`, for example `.venv/bin/python`"
        raise failure("gate-input", f"there is no Python interpreter `{name}`", hint)
    return found


def program(name: str, module: str) -> tuple[str, ...] | None:
    """A program of the project's, or the module of that name that is installed beside Trimtab; None: neither."""
    if (found := shutil.which(name)) is not None:
        return (found,)
    beside = Path(sys.executable).with_name(name)
    return (str(beside),) if beside.exists() else _as_module(module)


def _as_module(module: str) -> tuple[str, ...] | None:
    from importlib.util import find_spec

    return (sys.executable, "-I", "-m", module) if find_spec(module) is not None else None


def ask(argv: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and take what it prints. Raises `TrimtabError` (`gate-input`)."""
    return _run(argv, env, take=True)


def show(argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a program to its end; what it prints, people see as it comes. The exit code."""
    sys.stdout.flush()
    return _run(argv, env, take=False).returncode


def _run(argv: Sequence[str], env: Mapping[str, str] | None, *, take: bool) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            # Standard output is the gate's own, for `--json`.
            stdout=subprocess.PIPE if take else sys.stderr,
            stderr=subprocess.PIPE if take else None,
            text=True,
            errors="replace",
        )
    except OSError as error:
        message = f"`{argv[0]}` cannot be run: {error.strerror}"
        raise failure("gate-input", message, "see that it is a program") from None
