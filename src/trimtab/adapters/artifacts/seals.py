"""Large files that were verified once are not read again as long as nothing has touched them.

A seal says what a file was when its bytes had just been verified: the file, its size, and when it was last changed
(its ctime, which nobody can set). A seal is younger than the file's last change by at least one tick of the
file system's clock, so no change can hide in the tick in which the file was sealed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from trimtab.adapters.artifacts.locking import locked
from trimtab.core.model.identity import Digest

_TICK_S = 0.005
_TICKS = 20


class Seals:
    """A folder with a file for each seal, named by the digest. Losing it costs reading the files once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, digest: Digest, status: os.stat_result) -> bool:
        """Whether the file of this status was found to have these bytes, and was not touched since."""
        try:
            known = json.loads(self._path(digest).read_bytes())
        except (OSError, ValueError):
            return False
        return bool(known == _marks(status))

    def seal(self, digest: Digest, path: Path) -> None:
        """The file's bytes have just been verified to be those of `digest`, under the digest's `turn`. Where the clock
        was set back since the file was changed last there is no seal, and the file is read again the next time."""
        marks = _marks(path.stat())
        draft = self._path(digest).with_suffix(".new")
        for _ in range(_TICKS):
            draft.write_text(json.dumps(marks))
            if draft.stat().st_mtime_ns > marks[-1]:
                if _marks(path.stat()) == marks:
                    draft.replace(self._path(digest))
                return
            time.sleep(_TICK_S)  # the clock of files goes on in ticks

    @contextlib.contextmanager
    def turn(self, digest: Digest) -> Iterator[None]:
        """Verifying, linking and sealing the same bytes take turns: a link changes a file's ctime."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._path(digest).with_suffix(".lock")):
            yield

    def sizes(self) -> frozenset[int]:
        """Of all sealed files, in bytes."""
        return frozenset(size for size in map(_size_of, self._folder.glob("*[0-9a-f]")) if size)

    def sweep(self, keep: Collection[Digest]) -> None:
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if f"sha256:{path.stem}" not in keep:
                path.unlink()

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.removeprefix("sha256:")


def _marks(status: os.stat_result) -> list[int]:
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _size_of(path: Path) -> int:
    try:
        return int(json.loads(path.read_bytes())[2])
    except (OSError, ValueError, LookupError, TypeError):
        return 0
