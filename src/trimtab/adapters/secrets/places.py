"""Secrets from wherever the configuration says they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.model.secret import SecretSpec
from trimtab.ports.secrets import Secrets


@dataclass(frozen=True, slots=True)
class SecretPlaces:
    """`Secrets` of three kinds. `given`: names that are taken from our own place whatever the configuration says."""

    own: Secrets
    sops: Secrets
    vault: Secrets
    given: frozenset[str] = frozenset()

    async def values(self, app: str, commit: str, wanted: Sequence[SecretSpec]) -> dict[str, str]:
        mine: dict[str, list[SecretSpec]] = {"own": [], "sops": [], "vault": []}
        for spec in wanted:
            is_own = spec.name in self.given or not (spec.sops or spec.vault)
            mine["own" if is_own else "sops" if spec.sops else "vault"].append(spec)
        found: dict[str, str] = {}
        for place, specs in ((self.own, mine["own"]), (self.sops, mine["sops"]), (self.vault, mine["vault"])):
            if specs:
                found |= await place.values(app, commit, specs)
        return found
