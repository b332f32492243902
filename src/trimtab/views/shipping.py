"""What is told of a release that was written for the world outside, or sent there."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.model.identity import Digest


@dataclass(frozen=True, slots=True)
class ShippedView:
    """One release as an OCI image."""

    release: Digest
    app: str
    place: str
    """The folder or file that was written, or the reference that it was pushed to."""
    image: Digest
    """Of the image's manifest: what a registry knows it by."""
    size_bytes: int
    parts: tuple[str, ...]
    attestations: int = 0
