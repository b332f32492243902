"""The files that Envoy reads its configuration from, and the fences beside them.

A document's version is the digest of its content: what Envoy says it holds can be compared with what a file says,
without a counter that somebody would have to continue.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.adapters.envoy.access_log import Document
from trimtab.adapters.envoy.hand import Hand
from trimtab.adapters.envoy.names import environment_name
from trimtab.core.errors import TrimtabError
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.release import canonical_json, digest_of


@dataclass(frozen=True, slots=True)
class Published:
    """A file's bytes as they should be, and the version that Envoy reports when it holds them."""

    path: str
    content: bytes
    version: str


def published(path: str, resources: list[Document]) -> Published:
    """The file `path` (relative to the gateway's folder) with these resources."""
    version = digest_of(canonical_json(resources)).removeprefix("sha256:")[:16]
    return Published(path, canonical_json({"version_info": version, "resources": resources}), version)


class Files:
    """Reads and replaces whole files below one folder; a reader sees the old content or the new, never a mixture."""

    def __init__(self, home: Path, hand: Hand) -> None:
        """Every change is made by `hand`, and refused (`StaleFence`) when that is not the one any more."""
        self._home = home
        self._hand = hand

    def create_folders(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in ("xds/rds", "xds/eds", "fences"):
            (self._home / folder).mkdir(parents=True, exist_ok=True)

    def exists(self, path: str) -> bool:
        return (self._home / path).exists()

    def read(self, path: str) -> bytes | None:
        """The file's content; None when there is no such file."""
        try:
            return (self._home / path).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, path: str, content: bytes) -> None:
        """Write beside the file, make it durable, rename: Envoy only takes notice of renames."""
        target = self._home / path
        temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            with self._hand.writing():
                temporary.rename(target)
        except TrimtabError:
            temporary.unlink(missing_ok=True)
            raise

    def restore(self, path: str, content: bytes | None) -> None:
        """Put back what `read` gave."""
        if content is None:
            self.delete(path)
        elif self.read(path) != content:
            self.replace(path, content)

    def delete(self, path: str) -> None:
        with self._hand.writing():
            (self._home / path).unlink(missing_ok=True)

    def resources(self, path: str) -> list[Document]:
        """The resources that the file holds; none when there is no such file."""
        content = self.read(path)
        if content is None:
            return []
        document: dict[str, Any] = json.loads(content)
        resources: list[Document] = document["resources"]
        return resources

    def names(self, folder: str) -> list[str]:
        """The names of the JSON files in a folder, without their ending, sorted."""
        return sorted(path.stem for path in (self._home / folder).glob("[!.]*.json"))

    def fence(self, environment: EnvironmentId) -> int:
        """The highest fence seen for the environment; read from disk, for another controller may have written it."""
        content = self.read(_fence_file(environment))
        return int(content) if content else 0

    def forget_fences(self) -> None:
        """The fences of a hand that is refused altogether say nothing any more."""
        for path in (self._home / "fences").iterdir():
            path.unlink(missing_ok=True)

    def raise_fence(self, environment: EnvironmentId, fence: int) -> None:
        self.replace(_fence_file(environment), str(fence).encode())


def _fence_file(environment: EnvironmentId) -> str:
    return f"fences/{environment_name(environment)}"
