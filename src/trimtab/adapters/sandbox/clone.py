"""Bytes of one file into another: shared where the file system can do that, with holes kept where there are some."""

from __future__ import annotations

import errno
import fcntl
import os

_FICLONE = 0x40049409
_CHUNK_BYTES = 16 * 1024 * 1024
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.ETXTBSY, errno.EPERM)


def clone(source: int, target: int, size_bytes: int) -> None:
    """Make the new, empty file `target` hold the first `size_bytes` of `source`. Raises OSError."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        _copy_data(source, target, size_bytes)
    os.ftruncate(target, size_bytes)


def _copy_data(source: int, target: int, size_bytes: int) -> None:
    """What is not a hole: a file of a terabyte that holds nothing costs nothing."""
    place = 0
    while place < size_bytes:
        try:
            start = os.lseek(source, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole from here on
            raise
        place = min(os.lseek(source, start, os.SEEK_HOLE), size_bytes)
        _copy_range(source, target, start, place)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        length = min(end - start, _CHUNK_BYTES)
        try:
            copied = os.copy_file_range(source, target, length, start, start)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            copied = os.pwrite(target, os.pread(source, length, start), start)
        if copied == 0:
            return  # it became shorter meanwhile
        start += copied
