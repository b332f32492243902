"""The keys of a folder, for `trimtab keys`."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from trimtab.adapters.signing import FileKeys
from trimtab.app.folder import KEYS
from trimtab.core.errors import failure

KeysOf: TypeAlias = FileKeys


def keys_of(home: Path) -> KeysOf:
    """Raises `TrimtabError` (`not-found`)."""
    if not home.is_dir():
        raise failure("not-found", "there is no such folder", "`trimtab up` makes it", str(home))
    return FileKeys(home / KEYS)
