"""What `trimtab doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note", "ok"]
"""``error``: something does not work. ``warning``: it soon will not, or it is not safe. ``note``: as somebody wanted
it, and good to know before looking for a fault. ``ok``: looked at, and well."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note", "ok")
"""The worst first."""

CHECKS = (
    "controller",
    "gateway",
    "ports",
    "instances",
    "environments",
    "engine",
    "database",
    "git",
    "artifacts",
    "disk",
    "files",
    "clock",
    "programs",
    "sandbox",
    "backup",
)
"""The names of all checks, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `what` is a sentence; `why` (how it was seen, what follows) and `do` (the next
    step) may be empty; `where`: a path, an address, an object's id, or empty."""

    check: str
    severity: Severity
    what: str
    why: str = ""
    do: str = ""
    where: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether something has to be done."""
        return self.severity in ("error", "warning")
