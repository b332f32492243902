"""What happened in one simulation: for the trace, and to see that the simulator reaches things."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from trimtab.ports.clock import Clock
from trimtab.testing.sim.virtual_time import EPOCH


class PromiseBroken(AssertionError):
    """The installation did what it must never do."""


@dataclass(slots=True)
class History:
    """Events as lines, oldest first; how often each kind of fault and each outcome came (`coverage`)."""

    clock: Clock
    lines: list[str] = field(default_factory=list)
    coverage: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    """Broken promises, in words."""

    def note(self, who: str, what: str) -> None:
        self.lines.append(f"{self.clock.now() - EPOCH:9.3f} s  {who:<26} {what}")

    def fault(self, kind: str, who: str, what: str = "") -> None:
        """A mishap, as the seed wanted it."""
        self.coverage[f"fault: {kind}"] += 1
        self.note(who, f"*** {kind} {what}".rstrip())

    def breaks(self, promise: str, how: str) -> None:
        """The promise (its name and what it says) is broken, in this way."""
        self.note("PROMISE BROKEN", how)
        self.broken.append(f"{promise}\n    {how}")

    def digest(self) -> str:
        """The same for the same history."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()
