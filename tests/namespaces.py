"""Machines of their own for tests, as far as the kernel goes: networks that can be cut, disks that are small."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_CLONE_NEWNS = 0x00020000


@dataclass(frozen=True)
class Room:
    """A network namespace with a link of its own for each of `addresses`. Whoever is outside reaches the same machine
    by either, as long as that link is not cut."""

    name: str
    addresses: Sequence[str]

    @property
    def inside(self) -> tuple[str, ...]:
        """Words before a command that is to run in it."""
        return ("ip", "netns", "exec", self.name)

    def cut(self, link: int) -> None:
        """What is sent over the link vanishes; nobody is told."""
        self._set(link, "down")

    def heal(self, link: int) -> None:
        self._set(link, "up")

    def _set(self, link: int, state: str) -> None:
        _ip(*self.inside[1:], "ip", "link", "set", f"{self.name}i{link}", state)


@contextmanager
def room(links: int) -> Iterator[Room]:
    """A room with so many links. Skips the test where that is not permitted, and fails it in CI."""
    name, network = f"tt{os.getpid() % 1_000_000}", f"10.{200 + os.getpid() % 50}"
    made = Room(name, [f"{network}.{link}.2" for link in range(links)])
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        not_permitted(f"network namespaces are not permitted here: {getattr(error, 'stderr', '') or error}")
    try:
        _ip(*made.inside[1:], "ip", "link", "set", "lo", "up")
        for link in range(links):
            outer, inner = f"{name}o{link}", f"{name}i{link}"
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
            _ip("addr", "add", f"{network}.{link}.1/24", "dev", outer)
            _ip("link", "set", outer, "up")
            _ip(*made.inside[1:], "ip", "addr", "add", f"{network}.{link}.2/24", "dev", inner)
            _ip(*made.inside[1:], "ip", "link", "set", inner, "up")
        yield made
    finally:
        _ip("netns", "delete", name)  # the links go with it


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of this size at `folder`, for this process and those that it starts meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    here = Path.cwd()
    if libc.unshare(_CLONE_NEWNS) != 0:
        os.close(before)
        not_permitted(f"mount namespaces are not permitted here: {os.strerror(ctypes.get_errno())}")
    try:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True, capture_output=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
        yield
    finally:
        # Its mounts go with the last process that is in it.
        assert libc.setns(before, _CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        os.close(before)
        os.chdir(here)


def not_permitted(reason: str) -> None:
    """End the test: skipped here, failed in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
