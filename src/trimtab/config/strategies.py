"""How traffic moves to a new release."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from trimtab.config.defaults import BAKE_HOLDBACK_PCT, CANARY
from trimtab.config.fields import Command, Duration, Percent
from trimtab.config.quantities import show_duration, show_percent, wrong
from trimtab.config.segments import Conditions
from trimtab.config.setting import Settings, duration, group, mapping, percent, required, setting
from trimtab.config.steps import LONGEST_S, Gate, Mirror, Steps, StepSettings, as_gate, as_mirror

Kind = Literal["instant", "canary", "blue-green", "rolling", "shadow", "ab"]


class Bake(Settings):
    """After all steps: all traffic but a little that stays on the stable release, so that both are still compared.
    `bake: 10m` is short for `{for: 10m}`."""

    for_: Duration = required("How long.", "30m", alias="for", ge=1, le=LONGEST_S)
    holdback: Percent = percent(BAKE_HOLDBACK_PCT, "What stays on the stable release meanwhile.", "10%", ge=0.1, le=50)


def _bake(value: Any) -> Any:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return {"for": value}
    return mapping(value, "a duration or a mapping with `for`", "for example `bake: 10m`")


class Moving(Settings):
    """What all strategies that compare have in common."""

    bake: Annotated[Bake, BeforeValidator(_bake, json_schema_input_type=Duration | Bake)] | None = setting(
        None, "Compare for longer with nearly all traffic on the new release.", "10m", {"for": "10m", "holdback": "2%"}
    )
    ramp: Duration = duration(
        0.0, "Every move of traffic takes this long instead of being made at once.", "30s", ge=0, le=LONGEST_S
    )
    deadline: Duration = duration(
        CANARY.deadline_s,
        "A rollout that is not promoted by then goes back to the stable release.",
        "6h",
        ge=1,
        le=2_592_000,
    )
    progress_deadline: Duration = duration(
        CANARY.progress_deadline_s,
        "A rollout that waits this long for instances or for the gateway goes back.",
        "2m",
        ge=1,
        le=86_400,
    )
    scale_down_delay: Duration = duration(
        CANARY.scale_down_delay_s,
        "How long the instances of the release before stay: a return to it is instant.",
        "10m",
        ge=0,
        le=86_400,
    )
    rollback_window: int = setting(
        CANARY.rollback_window,
        "A return to one of the last so many releases that were live here skips the steps.",
        3,
        ge=0,
        le=50,
    )


def _default_steps() -> list[StepSettings]:
    return [StepSettings(weight=step.weight_pct, hold=step.hold_s, requests=step.requests) for step in CANARY.steps]


class Canary(Moving):
    """The new release gets more traffic step by step; it goes back as soon as it is proven worse."""

    steps: Steps = group(
        _default_steps,
        "What happens one after the other; after the last step the new release gets all traffic.",
        [{"weight": "5%", "hold": "15s", "requests": 20}, "25%"],
        shown=[
            {"weight": show_percent(step.weight_pct), "hold": show_duration(step.hold_s), "requests": step.requests}
            for step in CANARY.steps
        ],
    )


def _check_share(mirror: Mirror) -> None:
    if mirror.share == 0:
        raise wrong("config-conflict", "copies no request", "give `mirror` a share, for example `20%`")


class WarmUp(Settings):
    """Copies of requests before the switch: caches warm up, and what goes wrong harms nobody."""

    mirror: Annotated[Mirror, BeforeValidator(as_mirror, json_schema_input_type=Percent | Mirror)] = group(
        Mirror, "How many requests are copied, and what of the answers is compared.", "50%", {"compare": "status"}
    )
    for_: Duration = duration(60.0, "How long at least.", "5m", alias="for", ge=0, le=LONGEST_S)
    requests: int = setting(20, "How many copies at least.", 500, ge=0, le=10_000_000)
    evidence: bool = setting(
        True, "Wait until the analysis of the copies says that the new release is good enough.", False
    )

    @model_validator(mode="after")
    def _copies_something(self) -> Self:
        _check_share(self.mirror)
        return self


def _warm_up(value: Any) -> Any:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return {"for": value}
    return mapping(value, "a duration or a mapping", "for example `warm_up: 2m`")


class BlueGreen(Moving):
    """The new release is started beside the stable one, checked while it has no traffic, and then gets all of it."""

    warm_up: Annotated[WarmUp, BeforeValidator(_warm_up, json_schema_input_type=Duration | WarmUp)] | None = setting(
        None, "Copies of requests before the switch. `warm_up: 2m` is short for `{for: 2m}`.", "2m", {"mirror": "50%"}
    )
    gate: Annotated[Gate, BeforeValidator(as_gate, json_schema_input_type=Command | Gate)] | None = setting(
        None, "What has to agree before the switch: a command, a URL or a mapping.", "python smoke.py"
    )
    approve: bool = setting(False, "A person has to say so before the switch (`trimtab approve`).", True)
    hold: Duration = duration(
        0.0, "How long the new release stays without traffic; it can be reached by a header.", "5m", ge=0, le=LONGEST_S
    )


class Rolling(Moving):
    """Instances are replaced one after the other, and the traffic goes with them."""

    hold: Duration = duration(10.0, "How long each step lasts at least.", "1m", ge=0, le=LONGEST_S)
    requests: int = setting(
        0, "How many requests the new release must have got in each step at least.", 50, ge=0, le=10_000_000
    )


class Shadow(Moving):
    """The new release gets copies of requests until it is proven good enough, and then all traffic."""

    mirror: Annotated[Mirror, BeforeValidator(as_mirror, json_schema_input_type=Percent | Mirror)] = group(
        Mirror, "How many requests are copied, and what of the answers is compared.", "50%", {"compare": "json"}
    )
    for_: Duration = duration(60.0, "How long at least.", "1h", alias="for", ge=0, le=LONGEST_S)
    requests: int = setting(100, "How many copies at least.", 5000, ge=0, le=10_000_000)
    evidence: bool = setting(True, "Wait until the analysis says that the new release is good enough.", False)

    @model_validator(mode="after")
    def _copies_something(self) -> Self:
        _check_share(self.mirror)
        return self


class AB(Moving):
    """A part of a segment gets the new release for a given time; then all get it, unless it is worse."""

    match: Conditions = setting([], "Who takes part. Left out: everybody.", "beta", {"header": "X-Beta"})
    weight: Percent = percent(50.0, "Share of them that gets the new release.", "20%", gt=0, le=100)
    for_: Duration = duration(3600.0, "How long at least.", "1d", alias="for", ge=0, le=LONGEST_S)
    requests: int = setting(100, "How many requests the new release must have got.", 5000, ge=0, le=10_000_000)
    evidence: bool = setting(True, "Wait until the analysis says that the new release is good enough.", False)

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        if self.weight == 100 and self.evidence:
            hint = "give it less, or write `evidence: false`"
            raise wrong("config-conflict", "gives all of them the new release: nothing is left to compare with", hint)
        return self


class Strategy(Settings):
    """How traffic moves to a new release: one of the words, or one of these with settings of its own."""

    canary: Canary | None = setting(None, "A canary with steps of your own.", {"steps": ["5%", "25%", "50%"]})
    blue_green: BlueGreen | None = setting(
        None, "Blue-green with checks of your own.", {"gate": "python smoke.py"}, alias="blue-green"
    )
    rolling: Rolling | None = setting(None, "A rolling update with times of your own.", {"hold": "1m"})
    shadow: Shadow | None = setting(
        None, "Mirrored traffic with settings of your own.", {"mirror": {"compare": "json"}}
    )
    ab: AB | None = setting(None, "An A/B comparison.", {"match": "beta", "for": "1d"})

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in self.model_fields_set if getattr(self, name) is not None]
        if len(given) > 1:
            raise wrong("config-conflict", "names several strategies", "keep one of them")
        return self


WORDS = ("instant", "canary", "blue-green", "rolling", "shadow")


def as_strategy(value: Any) -> Any:
    """Write out a strategy that is only named. `instant` is the mapping that names none."""
    if value == "instant":
        return INSTANT
    if isinstance(value, str) and value in WORDS:
        return {value: {}}
    said = mapping(
        value,
        "`instant`, `canary`, `blue-green`, `rolling`, `shadow` or a mapping with one of them or `ab`",
        "for example `{canary: {steps: [5%, 25%]}}`",
    )
    if not said:
        raise wrong("config-invalid-value", "names no strategy", "for example `canary: {steps: [5%, 25%]}`")
    return said


INSTANT = Strategy()
