"""The processes below one, as /proc tells. A supervisor imports this: standard library only."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Process:
    """What one look said of a process."""

    __slots__ = ("memory_bytes", "parent", "pid", "threads")

    def __init__(self, pid: int, parent: int, threads: int, memory_bytes: int) -> None:
        self.pid, self.parent, self.threads, self.memory_bytes = pid, parent, threads, memory_bytes


def below(root: int) -> list[Process]:
    """All descendants of `root`, itself not. One that begins or ends meanwhile may be missing."""
    children: dict[int, list[Process]] = {}
    for process in _all():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    pending = [root]
    while pending:
        inner = children.pop(pending.pop(), [])
        found += inner
        pending += [process.pid for process in inner]
    return found


def proportional_bytes(pids: Collection[int]) -> int:
    """Memory with each shared page counted once, in equal parts. Costs more to tell than what each process maps."""
    return sum(_proportional(pid) for pid in pids)


def inside_sandboxes(root: int) -> list[int]:
    """What runs below `root` in a process namespace of its own, without the first process of each: when that ends, the
    kernel kills all the others, so it is not the one to be asked to stop."""
    depth = len(_namespace_pids(root))
    inside = []
    for process in below(root):
        numbers = _namespace_pids(process.pid)
        if len(numbers) > depth and numbers[-1] != "1":
            inside.append(process.pid)
    return inside


def deleted_bytes(pids: Collection[int]) -> int:
    """Space on disks that is taken by files which have no name any more and are still open, or mapped, somewhere."""
    in_memory = _memory_device()
    files: dict[tuple[int, int], int] = {}
    for pid in pids:
        for device, inode, size_bytes in (*_open_and_deleted(pid), *_mapped_and_deleted(pid)):
            if device != in_memory:
                files[device, inode] = max(size_bytes, files.get((device, inode), 0))
    return sum(files.values())


def _memory_device() -> int:
    """The "disk" of files that only ever were in memory: they count as memory."""
    descriptor = os.memfd_create("trimtab")
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


def _all() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    # "PID (NAME) STATE PARENT ...", where the name may hold anything.
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            yield Process(int(entry), int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE_BYTES)


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except OSError:
        return 0  # it has ended, or it is about to


def _namespace_pids(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((line.split()[1:] for line in file if line.startswith("NSpid:")), [])
    except OSError:
        return []


def _open_and_deleted(pid: int) -> Iterator[tuple[int, int, int]]:
    """Device, inode and bytes."""
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        try:
            status = os.stat(f"/proc/{pid}/fd/{descriptor}")
        except OSError:
            continue
        if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
            yield status.st_dev, status.st_ino, status.st_blocks * 512


def _mapped_and_deleted(pid: int) -> Iterator[tuple[int, int, int]]:
    try:
        with open(f"/proc/{pid}/maps", errors="replace") as file:
            lines = [line.split() for line in file if line.endswith("(deleted)\n")]
    except OSError:
        return
    for addresses, _, _, place, inode, *_ in lines:
        major, minor = place.split(":")
        first, last = addresses.split("-")
        yield os.makedev(int(major, 16), int(minor, 16)), int(inode), int(last, 16) - int(first, 16)
