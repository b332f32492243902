"""How much a process writes below a folder, asked often and counted seldom. Standard library only."""

from __future__ import annotations

import os
import time

from trimtab.adapters.processes import tree

_LEAST_BYTES = 4096
"""What a file counts at least, empty or not: many small ones fill a disk, too."""
_COUNT_AGAIN_S = 5.0
"""However full the disk seems: somebody else may free what this process takes."""
_DUTY = 8
"""Counting takes at most one in so many seconds."""


class DiskUse:
    """What was there before it began does not count."""

    def __init__(self, folder: str, limit_bytes: float) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._device = os.stat(folder).st_dev
        self._there_before = _size_of(folder, self._device, float("inf"))
        self._counted, self._free = 0, self._free_now()
        self._count_at = 0.0
        self._count_anyway_at = time.monotonic() + _COUNT_AGAIN_S

    def exceeded(self, root: int) -> bool:
        """Whether more was written than the limit allows, as far as can be told cheaply. `root`: all below it write."""
        now = time.monotonic()
        may_be = self._counted + max(0, self._free - self._free_now()) > self._limit_bytes
        if now < self._count_at or not (may_be or now >= self._count_anyway_at):
            return False
        return self.exceeded_now(root)

    def exceeded_now(self, root: int) -> bool:
        """The same, counted."""
        began = time.monotonic()
        self._free = self._free_now()
        written = _size_of(self._folder, self._device, self._there_before + self._limit_bytes)
        without_a_name = tree.deleted_bytes([process.pid for process in tree.below(root)])
        self._counted = max(0, written - self._there_before) + without_a_name
        ended = time.monotonic()
        self._count_at = ended + (ended - began) * _DUTY
        self._count_anyway_at = max(ended + _COUNT_AGAIN_S, self._count_at)
        return self._counted > self._limit_bytes

    def _free_now(self) -> int:
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return 0
        # A file takes an inode; some file systems have none to count.
        return disk.f_bfree * disk.f_frsize + disk.f_ffree * _LEAST_BYTES


def _size_of(folder: str, device: int, enough: float) -> int:
    """What is below the folder, on its disk; counted until it is more than `enough`. Links are not followed, and a file
    with several names counts once."""
    size_bytes = 0
    seen: set[int] = set()
    pending = [folder]
    while pending and size_bytes <= enough:
        try:
            entries = os.scandir(pending.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if status.st_dev != device or status.st_ino in seen:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif status.st_nlink > 1:
                    seen.add(status.st_ino)
                size_bytes += max(status.st_blocks * 512, _LEAST_BYTES)
    return size_bytes
