"""The settings of an environment: its address, strategy and analysis."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from trimtab.config.defaults import ANALYSIS, CANARY, CANARY_STEP, ENVIRONMENT, ERRORS, LATENCY
from trimtab.config.fields import Duration, HeaderName, Listen, Percent, Variables
from trimtab.config.quantities import show_duration, show_percent, wrong
from trimtab.config.setting import (
    Settings,
    duration,
    group,
    mapping,
    percent,
    required,
    required_percent,
    setting,
)
from trimtab.core.model.specification import LatencyMeasure


class CanaryStepSettings(Settings):
    """A step of a canary. `25%` is short for `{weight: 25%}`."""

    weight: Percent = required_percent("Share of the traffic that goes to the new release.", "5%", gt=0, le=100)
    hold: Duration = duration(CANARY_STEP.hold_s, "How long the step lasts at least.", "5m", ge=0, le=604_800)
    requests: int = setting(
        CANARY_STEP.requests,
        "How many requests the new release must have got in the step at least.",
        100,
        ge=0,
        le=10_000_000,
    )


def _canary_step(value: Any) -> Any:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return {"weight": value}
    return mapping(value, "a percentage, or a mapping with `weight`", "for example `25%` or `{weight: 25%, hold: 5m}`")


def _default_steps() -> list[CanaryStepSettings]:
    return [
        CanaryStepSettings(weight=step.weight_pct, hold=step.hold_s, requests=step.requests) for step in CANARY.steps
    ]


class Canary(Settings):
    """The new release gets more traffic step by step, and each step must pass the analysis."""

    steps: Annotated[
        list[
            Annotated[
                CanaryStepSettings, BeforeValidator(_canary_step, json_schema_input_type=Percent | CanaryStepSettings)
            ]
        ],
        Field(min_length=1),
    ] = group(
        _default_steps,
        "Shares of the traffic in rising order; after the last one the new release gets all of it.",
        [{"weight": "5%", "hold": "15s", "requests": 20}, "25%"],
        shown=[
            {"weight": show_percent(step.weight_pct), "hold": show_duration(step.hold_s), "requests": step.requests}
            for step in CANARY.steps
        ],
    )
    deadline: Duration = duration(
        CANARY.deadline_s,
        "A rollout that is not promoted by then goes back to the stable release.",
        "6h",
        ge=1,
        le=2_592_000,
    )


class Strategy(Settings):
    """How traffic moves to a new release: the word `instant` (all at once), the word `canary`, or a mapping."""

    canary: Canary | None = required("A canary with steps of your own.", {"steps": ["5%", "25%", "50%"]})


INSTANT = Strategy(canary=None)


def _strategy(value: Any) -> Any:
    if value == "instant":
        return INSTANT
    if value == "canary":
        return Strategy(canary=Canary())
    return mapping(
        value, "`instant`, `canary` or a mapping with `canary`", "for example `{canary: {steps: [5%, 25%]}}`"
    )


class Errors(Settings):
    """Failed requests: status 5xx, or no answer from the instance."""

    margin: float = setting(
        ERRORS.margin_ratio,
        "Promotion needs evidence that the new release fails less than this many times as often as the stable one...",
        2,
        gt=1,
        le=10,
    )
    acceptable: Percent = percent(
        ERRORS.acceptable_pct,
        "...or that it fails on less than this share of requests. `0%` leaves only the margin.",
        "0.1%",
        ge=0,
        lt=100,
    )


def _quantiles(values: list[float]) -> list[float]:
    names = {f"{value * 100:g}" for value in values}
    if len(names) < len(values):
        raise wrong("config-invalid-value", "names a quantile twice", "keep one of them")
    return values


class Latency(Settings):
    """Requests that are slower than most of the stable release's."""

    quantiles: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1, max_length=10), AfterValidator(_quantiles)
    ] = setting(list(LATENCY.quantiles), "Quantiles of the stable release's latency to compare with.", [0.5, 0.99])
    margin: float = setting(
        LATENCY.margin_ratio,
        "Promotion needs evidence that slower requests are less than this many times as frequent as on the stable"
        " release.",
        2,
        gt=1,
        le=10,
    )
    tolerance: Percent = percent(
        LATENCY.tolerance_pct,
        "A request counts as slower only beyond the quantile plus this share of it...",
        "20%",
        ge=0,
        le=1000,
    )
    floor: Duration = duration(
        LATENCY.floor_ms / 1000, "...and only beyond the quantile plus this.", "50ms", ge=0, le=600
    )
    measure: LatencyMeasure = setting(
        LATENCY.measure,
        "`total`: until the answer is complete. `first_byte`: until it begins, for answers that are streamed.",
        "first_byte",
    )


def _or_off(value: Any) -> Any:
    if value is False:
        return None
    return mapping(value, "a mapping or `false`", "`false` switches it off; leave it out for the defaults")


class Analysis(Settings):
    """What the verdict on a canary is made of. Without errors and latency, only time and request counts decide."""

    errors: Annotated[Errors | None, BeforeValidator(_or_off, json_schema_input_type=Literal[False] | Errors)] = group(
        Errors, "Compare failed requests; `false` switches it off.", {"margin": 1.5, "acceptable": "1%"}, False
    )
    latency: Annotated[Latency | None, BeforeValidator(_or_off, json_schema_input_type=Literal[False] | Latency)] = (
        group(Latency, "Compare latency; `false` switches it off.", {"quantiles": [0.5, 0.95], "floor": "5ms"}, False)
    )
    false_rollback: Percent = percent(
        ANALYSIS.false_rollback_pct,
        "Bound on the probability that a release that is no worse is rolled back, over the whole rollout.",
        "0.1%",
        gt=0,
        le=50,
    )
    false_promotion: Percent = percent(
        ANALYSIS.false_promotion_pct,
        "Bound on the probability that a release at the margin is promoted, for each metric.",
        "1%",
        gt=0,
        le=50,
    )


class Sticky(Settings):
    """Keep each user on one release while a canary runs: by `cookie` or by `header`, not both."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["cookie"]}, {"required": ["header"]}]})

    cookie: HeaderName | None = setting(None, "Name of a cookie that the gateway sets.", "trimtab")
    header: HeaderName | None = setting(None, "Name of a request header that names the user.", "X-User-Id")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.cookie is None) == (self.header is None):
            raise wrong("config-conflict", "must have either `cookie` or `header`", "for example `{cookie: trimtab}`")
        return self


class Environment(Settings):
    """A place where releases run, with an address of its own."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["port", "listen"]}})

    port: int = setting(ENVIRONMENT.port, "Where the gateway listens for users, on 127.0.0.1.", 8081, ge=1, le=65_535)
    listen: Listen | None = setting(None, "Address and port instead of `port`.", "0.0.0.0:8080")
    strategy: (
        Annotated[Strategy, BeforeValidator(_strategy, json_schema_input_type=Literal["instant", "canary"] | Strategy)]
        | None
    ) = setting(
        None,
        "How traffic moves to a new release: `instant`, `canary`, or a canary with steps of your own."
        " Left out: `canary` for the last environment, `instant` for those before it.",
        "instant",
        {"canary": {"steps": ["5%", "25%", "50%"]}},
    )
    analysis: Analysis = group(Analysis, "What the verdict on a canary is made of.", {"latency": False})
    sticky: Sticky | None = setting(
        None, "Keep each user on one release while a canary runs.", {"cookie": "trimtab"}, {"header": "X-User-Id"}
    )
    replicas: int | None = setting(
        None, "How many instances of a release run here. Left out: `service.replicas`.", 3, ge=1, le=100
    )
    env: Variables = setting({}, "Environment variables of instances here, on top of `service.env`.", {"STAGE": "eu"})

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if {"port", "listen"} <= self.model_fields_set:
            raise wrong("config-conflict", "has both `port` and `listen`", "keep `listen`: it has a port, too")
        return self
