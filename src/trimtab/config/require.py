"""What an environment requires of a release before anything of it starts."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from trimtab.config.defaults import REQUIRE
from trimtab.config.fields import Duration, Name
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, listed, mapping, setting


class Require(Settings):
    """What must be attested of a release, and signed by a trusted key (`trimtab keys`), before anything of it starts
    here."""

    provenance: bool = setting(
        REQUIRE.provenance,
        "Whether it must be known which run has cut the release. `false`: everything is let in.",
        False,
    )
    gates: Annotated[list[Name], BeforeValidator(listed, json_schema_input_type=Name | list[Name])] = setting(
        [],
        "Steps that must have passed in that run. One that was left out of it has not passed.",
        ["unit-tests", "secret-scan"],
    )
    max_age: Duration | None = setting(
        None,
        "How long ago that run may have ended when the rollout begins. Left out: at any time.",
        "90d",
        json_schema_extra={"minimum": 60, "maximum": 315_360_000},
        ge=60,
        le=315_360_000,
    )
    builders: Annotated[list[str], Field(max_length=50)] = setting(
        [],
        "Who may have made the release: addresses of Trimtab installations (`--public-url`). Left out: whoever has a"
        " trusted key.",
        ["https://trimtab.example.com"],
    )

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        more = self.model_fields_set - {"provenance"}
        if not self.provenance and more:
            named = ", ".join(f"`{name}`" for name in sorted(more))
            raise wrong("config-conflict", f"has `provenance: false`, so {named} would not be looked at", "remove one")
        return self


def as_require(value: Any) -> Any:
    """`none`: nothing is required."""
    if value == "none":
        return {"provenance": False}
    return mapping(value, "`none` or a mapping", "for example `require: {gates: [unit-tests], max_age: 90d}`")
