"""Where a step's template is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TemplateAt:
    """A file: of the application's own repository, or of another one."""

    path: str
    repository: str = ""
    """The other repository's address; empty: the application's own."""
    digest: str = ""
    """What the file must be (``sha256:...``). Empty for a file of the application's own repository: there the commit
    says what it is."""
    ref: str = ""
    """The branch, tag or commit of the other repository; empty: what its HEAD names."""

    def __str__(self) -> str:
        return f"{self.path} of {self.repository}" if self.repository else self.path


def template_digest(content: bytes) -> str:
    """What a template is pinned by: the digest of the file as it is, as `sha256sum` prints it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
