"""A bare Python interpreter that runs one function of ours, in a session of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path

import trimtab

_PACKAGE_ROOT = str(Path(trimtab.__file__).parents[1])
# Not `-m`, which imports half the standard library first, and not the file itself, which would be compiled each time.
_BOOT = "import sys; sys.path.append(sys.argv[1]); from {module} import main; main({arguments})"
_NO_SITE = ("-I", "-S", "-X", "utf8")


def spawn(
    module: str, arguments: Collection[str | int], descriptors: Collection[int], errors: str, padding: str = ""
) -> int:
    """Start ``main(*arguments)`` of the module; the process id. Raises OSError.

    No terminal, and no signal to this process's group, reaches it. It has the descriptors under their numbers, and
    writes to the file `errors` what it has to complain about. `padding`: a last argument, which it does not see.
    """
    words = (f"sys.argv[{place}]" for place in range(2, 2 + len(arguments)))
    typed = (f"int({word})" if isinstance(value, int) else word for word, value in zip(words, arguments, strict=True))
    boot = _BOOT.format(module=module, arguments=", ".join(typed))
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *_NO_SITE, "-c", boot, _PACKAGE_ROOT, *map(str, arguments), *([padding] if padding else [])],
        _environment(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            *((os.POSIX_SPAWN_DUP2, each, each) for each in descriptors),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT),
    )


def _environment() -> dict[str, str]:
    """Only what an interpreter may need to find its own libraries."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
