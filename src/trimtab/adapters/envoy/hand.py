"""One hand at a time writes in the gateway's folder, however many controllers there are and whichever was paused.

Whoever takes over raises the fence; every write looks at it under a lock, in one breath with the write itself, so a
controller that was paused between its decision and the write finds itself refused. One that was paused *in* that breath
holds the lock: it is ended, which it is built for, and its write never happens.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.core.errors import failure, stale_fence
from trimtab.procfs import end_if_paused, lockers

PATIENCE_S = 2.0
"""How long a write of somebody else may take."""
_POLL_S = 0.002

log = logging.getLogger(__name__)


class Hand:
    """This process's right to write in `home`: none before `take`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.fence: int | None = None
        """The fence under which this process writes; None: it never took over, and nobody's writes are looked at."""

    def take(self, fence: int) -> bool:
        """Take over; whether the fence was raised by it. Raises `StaleFence` when somebody with a higher one did."""
        with self._locked():
            held = self._held()
            if fence < held:
                raise stale_fence("gateway", held, fence)
            temporary = self._file.with_suffix(".new")
            temporary.write_text(str(fence))
            temporary.rename(self._file)
            self.fence = fence
            return fence > held

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A short block, without a wait in it, that nobody else's write comes between. Raises `StaleFence`."""
        if self.fence is None:
            yield
            return
        with self._locked():
            held = self._held()
            if held != self.fence:
                raise stale_fence("gateway", held, self.fence)
            yield

    def is_held(self) -> bool:
        """Whether nobody has taken over since."""
        return self.fence is not None and self._held() == self.fence

    @property
    def _file(self) -> Path:
        return self._home / "hand"

    def _held(self) -> int:
        try:
            return int(self._file.read_text())
        except FileNotFoundError:
            return 0

    @property
    def _lock(self) -> Path:
        return self._home / "hand.lock"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not _try_lock(handle):
                if time.monotonic() > deadline:
                    self._end_paused_holder()
                    deadline = time.monotonic() + PATIENCE_S
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(handle)

    def _end_paused_holder(self) -> None:
        pid = self._holder()
        if pid is None or not end_if_paused(pid, lambda: self._holder() == pid):
            hint = f"see what process {pid or '?'} waits for; `trimtab doctor` helps"
            said = f"another controller has been writing to the gateway for {PATIENCE_S:g} s"
            raise failure("gateway-locked", said, hint)
        log.warning(
            "controller %d was paused while it wrote to the gateway; it was ended so that others can go on", pid
        )

    def _holder(self) -> int | None:
        return next(lockers(self._lock, "FLOCK", "WRITE"), None)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
