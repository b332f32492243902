"""What is asked of the Linux kernel: calls that Python has no function for, descriptors, children."""

from __future__ import annotations

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_RDONLY = 1
_MS_REMOUNT = 32
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_MS_RELATIME = 1 << 21
_SIGKILL = 9

_KEPT_FLAGS = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME
"""Flags of a mount that have the same number in statvfs(2) and mount(2)."""

_libc = ctypes.CDLL(None, use_errno=True)


def set_name(name: bytes) -> None:
    """The name that `ps` and `top` show (15 bytes at most)."""
    _libc.prctl(_PR_SET_NAME, name, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, in place of process 1."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent dies, even if it died before this call."""
    _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(127)


def close_all_but(*kept: int) -> None:
    """A library in the controller may have left descriptors open to its children; a socket would be held for days."""
    first = 3
    for descriptor in (*sorted(kept), os.sysconf("SC_OPEN_MAX")):
        os.closerange(first, descriptor)
        first = descriptor + 1


def children_of(parent: int) -> list[int]:
    """Of a process with one thread. One may be missed while another ends: ask until there are none."""
    try:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return _children_by_looking_at_all(parent)


def _children_by_looking_at_all(parent: int) -> list[int]:
    """For kernels that were built without lists of children."""
    children = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                # "PID (NAME) STATE PARENT ...", where the name may hold anything.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            children.append(int(entry))
    return children


def see_read_only(folders: list[str]) -> bool:
    """Make this process and its descendants see the folders read-only, whoever they run as.

    False when the kernel allows it only in part or not at all. Nobody else's view changes.
    """
    try:
        _new_mount_namespace()
        for folder in folders:
            _mount(folder, folder, _MS_BIND | _MS_REC)
            _mount(None, folder, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | _flags_of(folder))
    except OSError:
        return False
    return True


def _new_mount_namespace() -> None:
    if os.geteuid() == 0:
        _check(_libc.unshare(_CLONE_NEWNS))
    else:
        # Without privileges only the owner of a user namespace may mount: one in which we are who we are outside.
        uid, gid = os.geteuid(), os.getegid()
        _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _mount(None, "/", _MS_REC | _MS_PRIVATE)


def _flags_of(folder: str) -> int:
    """The flags the mount has now: taking one away (`nosuid`) is refused in a user namespace."""
    flags = os.statvfs(folder).f_flag
    return (flags & _KEPT_FLAGS) | (_MS_RELATIME if flags & os.ST_RELATIME else 0)


def _mount(source: str | None, target: str, flags: int) -> None:
    encoded = os.fsencode(source) if source is not None else None
    _check(_libc.mount(encoded, os.fsencode(target), None, ctypes.c_ulong(flags), None))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
