"""The settings that say where secrets come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Self

from pydantic import model_validator

from trimtab.config.fields import RepositoryPath
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, setting
from trimtab.core.model.pipeline import StepSpec
from trimtab.core.model.secret import SecretSpec


class Secret(Settings):
    """Where a secret comes from. `{}`: from Trimtab itself, which was given it by `trimtab secrets set` or finds it in
    its environment."""

    sops: RepositoryPath | None = setting(None, "A file of the repository that SOPS has encrypted.", "secrets.enc.yaml")
    vault: str | None = setting(
        None,
        "A path in Vault, below the one that the operator has set aside for the application.",
        "payments",
        min_length=1,
        max_length=200,
    )
    key: str | None = setting(
        None,
        "With `sops`: where in the file, with dots between. With `vault`: which field. Left out: the secret's name.",
        "db.password",
        min_length=1,
        max_length=200,
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.sops is not None and self.vault is not None:
            raise wrong("config-conflict", "is in two places, `sops` and `vault`", "keep the one that it is read from")
        if self.key is not None and self.sops is None and self.vault is None:
            raise wrong("config-conflict", "has a `key` and no `sops` or `vault` that it would be in", "remove it")
        return self

    def compiled(self, name: str) -> SecretSpec:
        return SecretSpec(name, self.sops or "", self.vault or "", self.key or "")


def with_places(steps: Iterable[StepSpec], secrets: Mapping[str, Secret]) -> tuple[StepSpec, ...]:
    """The steps, each with where those of its secrets are that are not Trimtab's own."""
    places = {name: secret.compiled(name) for name, secret in secrets.items() if secret.sops or secret.vault}
    return tuple(
        replace(step, secret_places=tuple(places[name] for name in step.secrets if name in places)) for step in steps
    )
