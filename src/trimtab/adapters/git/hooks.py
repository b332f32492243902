"""Hooks: how a pusher and Trimtab hear of each other.

Every repository's hooks run `hook_program.py`, which posts to the address that `configure_hooks` wrote beside the
repositories.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

from trimtab.adapters.git.layout import STATE

ENDPOINT = "hook-endpoint"
"""The file beside the repositories with Trimtab's address and token, one line each; only its owner can read it."""
_PROGRAM = Path(__file__).with_name("hook_program.py")


def configure_hooks(home: Path, url: str, token: str) -> None:
    """Tell the hooks of all repositories in `home` where Trimtab listens (``http://HOST:PORT``), and the bearer token
    to show there. Also renews the hooks themselves: this Python may be another one than at the last start."""
    home.mkdir(parents=True, exist_ok=True)
    _replace(home / ENDPOINT, f"{url.rstrip('/')}\n{token}\n", 0o600)
    for repository in home.glob("*.git"):
        install(repository, home, repository.name.removesuffix(".git"))


def install(repository: Path, home: Path, name: str) -> None:
    """Write the hooks of the repository `name`. About the state repository Trimtab is also asked before a push is
    taken."""
    folder = repository / "hooks"
    folder.mkdir(exist_ok=True)
    for hook in ("pre-receive", "post-receive") if name == STATE else ("post-receive",):
        _replace(folder / hook, _script(hook, home), 0o755)


def _script(hook: str, home: Path) -> str:
    words = (sys.executable, "-I", "-S", str(_PROGRAM), hook, str(home.resolve() / ENDPOINT))
    return f"#!/bin/sh\n# Written by Trimtab, which overwrites changes.\nexec {shlex.join(words)}\n"


def _replace(path: Path, text: str, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.chmod(temporary, mode)
    os.replace(temporary, path)
