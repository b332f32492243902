"""What a fact is, and how the log keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.model.identity import ObjectId


@dataclass(frozen=True, slots=True)
class Fact:
    """The base of every kind of fact."""


@dataclass(frozen=True, slots=True)
class FactOfNewerVersion(Fact):
    """Stands for a fact that this version cannot read, where one reads the log: it happened, and folds pass over it.
    No kind of fact itself, and never part of a decision."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact as the log keeps it. `key` makes an append idempotent: a second fact with the same key is not recorded."""

    object: ObjectId
    fact: Fact
    reason: str = ""
    actor: str = "trimtab"
    key: str | None = None
    seq: int = 0
    at: float = 0.0

    @property
    def kind(self) -> str:
        return self.fact.kind if isinstance(self.fact, FactOfNewerVersion) else type(self.fact).__name__
