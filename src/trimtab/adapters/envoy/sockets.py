"""Unix sockets in a folder whose path may be longer than the 107 bytes that a socket's address can hold."""

from __future__ import annotations

import os
from pathlib import Path


class SocketFolder:
    """An open folder; sockets in it are reached through its descriptor, whatever the length of its path."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._is_open = True

    def path(self, name: str) -> str:
        """A short path of the socket `name`, valid in this process until `close`."""
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def close(self) -> None:
        """Idempotent: the descriptor's number may soon be another file's."""
        if self._is_open:
            os.close(self._descriptor)
            self._is_open = False
