"""Where a secret comes from. Its value is never part of the model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """`name`: of the variable that the step gets. With neither `sops` nor `vault` it is one of those that Trimtab keeps
    itself, or of its environment."""

    name: str
    sops: str = ""
    """A file of the commit that SOPS has encrypted."""
    vault: str = ""
    """A path in Vault, below what the operator allows the application."""
    key: str = ""
    """Where in the file (``db.password``), or which field of the Vault secret. Empty: `name`."""

    @property
    def found_at(self) -> str:
        return self.key or self.name
