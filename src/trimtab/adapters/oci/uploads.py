"""Uploads that were begun and not ended, so that the next attempt goes on where the last one stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from trimtab.core.model.identity import Digest


class Uploads:
    """A folder with a file for each: where the registry takes the rest, and how much it had. Losing it costs time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begun(self, place: str, digest: Digest) -> tuple[str, int] | None:
        """The address and the offset. `place`: the registry and its repository."""
        try:
            address, offset = json.loads(self._path(place, digest).read_bytes())
        except (OSError, ValueError):
            return None
        return (address, offset) if isinstance(address, str) and isinstance(offset, int) else None

    def note(self, place: str, digest: Digest, address: str, offset: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._path(place, digest).with_suffix(".new")
        draft.write_text(json.dumps([address, offset]))
        draft.replace(self._path(place, digest))

    def forget(self, place: str, digest: Digest) -> None:
        self._path(place, digest).unlink(missing_ok=True)

    def _path(self, place: str, digest: Digest) -> Path:
        return self._folder / hashlib.sha256(f"{place} {digest}".encode()).hexdigest()
