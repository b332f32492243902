"""What is told of a backup that was written or put back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackupView:
    """One backup. `at`: the moment it is of (seconds since the epoch)."""

    file: str
    home: str
    """The folder that it is of, or that it was put back into."""
    at: float
    version: str
    """Of the Trimtab that wrote it."""
    schema: int
    """Of the database."""
    size_bytes: int
    members: int
    repositories: tuple[str, ...]
    releases: int
    warnings: tuple[str, ...] = ()
    """What is in it and was damaged before it was copied."""
