"""A part of a release as a tar archive that is never written: any range of it can be read."""

from __future__ import annotations

import os
import tarfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.core.errors import failure
from trimtab.core.model.tree import TreeEntry

CHUNK = 1024 * 1024
_RECORD = tarfile.RECORDSIZE


@dataclass(frozen=True, slots=True)
class _Segment:
    """Some bytes of the archive: `data`, or those of a file."""

    begin: int
    length: int
    data: bytes = b""
    path: str = ""


class PartTar:
    """The same files give the same bytes: no times, owners or order of a machine's."""

    def __init__(self, root: Path, entries: Sequence[TreeEntry]) -> None:
        """`root`: the folder with the release's files."""
        self._segments: list[_Segment] = []
        self.size_bytes = 0
        for entry in sorted(entries):
            self._add(root, entry)
        blocks = self.size_bytes + 2 * tarfile.BLOCKSIZE
        self._add_bytes(b"\0" * (2 * tarfile.BLOCKSIZE + -blocks % _RECORD))
        self._begins = [segment.begin for segment in self._segments]

    def read(self, offset: int = 0) -> Iterator[bytes]:
        """The archive from there to its end. Raises `TrimtabError` (`artifact-corrupt`) if a file has another size."""
        first = bisect_right(self._begins, offset) - 1
        for segment in self._segments[first:]:
            skip = max(0, offset - segment.begin)
            if segment.path:
                yield from _file(segment, skip)
            elif segment.data[skip:]:
                yield segment.data[skip:]

    def _add(self, root: Path, entry: TreeEntry) -> None:
        path = root / entry.path
        info = tarfile.TarInfo(entry.path)
        info.mode = 0o755 if entry.mode == "755" else 0o644
        if entry.mode == "link":
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, os.readlink(path)
        else:
            info.size = entry.size_bytes
        self._add_bytes(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
        if entry.mode != "link" and entry.size_bytes:
            self._segments.append(_Segment(self.size_bytes, entry.size_bytes, path=str(path)))
            self.size_bytes += entry.size_bytes
            self._add_bytes(b"\0" * (-entry.size_bytes % tarfile.BLOCKSIZE))

    def _add_bytes(self, data: bytes) -> None:
        if data:
            self._segments.append(_Segment(self.size_bytes, len(data), data))
            self.size_bytes += len(data)


def _file(segment: _Segment, skip: int) -> Iterator[bytes]:
    left = segment.length - skip
    with open(segment.path, "rb") as file:
        file.seek(skip)
        while left and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
    if left:
        hint = "roll out another release, or start the run of its commit again"
        raise failure("artifact-corrupt", "a file of the release is shorter than it was", hint, segment.path)
