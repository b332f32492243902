"""The settings of an environment: its address, strategy and analysis."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from trimtab.config.admission import Budget, Freeze, Group, Windows
from trimtab.config.defaults import ANALYSIS, ENVIRONMENT, ERRORS, LATENCY
from trimtab.config.fields import Duration, HeaderName, Listen, Name, Percent, Variables
from trimtab.config.metrics import Metric
from trimtab.config.quantities import wrong
from trimtab.config.require import Require, as_require
from trimtab.config.segments import Conditions
from trimtab.config.setting import Settings, duration, mapping, percent, setting
from trimtab.config.setting import group as setting_group
from trimtab.config.strategies import Strategy, as_strategy
from trimtab.core.model.specification import LatencyMeasure


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
    """What the verdict on a release is made of. With nothing to judge, only time and request counts decide."""

    errors: Annotated[Errors | None, BeforeValidator(_or_off, json_schema_input_type=Literal[False] | Errors)] = (
        setting_group(
            Errors, "Compare failed requests; `false` switches it off.", {"margin": 1.5, "acceptable": "1%"}, False
        )
    )
    latency: Annotated[Latency | None, BeforeValidator(_or_off, json_schema_input_type=Literal[False] | Latency)] = (
        setting_group(
            Latency, "Compare latency; `false` switches it off.", {"quantiles": [0.5, 0.95], "floor": "5ms"}, False
        )
    )
    metrics: Annotated[dict[Name, Metric], Field(max_length=20)] = setting(
        {},
        "Metrics of your own, by name.",
        {"refunds": {"rate": "select count(*) from refunds where release = $release", "sql": "sqlite:///shop.db"}},
    )
    count: Literal["requests", "users"] | None = setting(
        None,
        "What is counted. `users`: each user has at most one failure, for the requests of a user who stays on a release"
        " depend on each other. Left out: `users` with `sticky`, else `requests`.",
        "requests",
    )
    split_check: bool = setting(
        ANALYSIS.split_check, "Hold the rollout when the releases do not get the shares they should get.", False
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
        Annotated[
            Strategy,
            BeforeValidator(
                as_strategy,
                json_schema_input_type=Literal["instant", "canary", "blue-green", "rolling", "shadow"] | Strategy,
            ),
        ]
        | None
    ) = setting(
        None,
        "How traffic moves to a new release: a word, or a mapping with settings of your own."
        " Left out: `canary` for the last environment, `instant` for those before it.",
        "blue-green",
        {"canary": {"steps": ["5%", "25%", "50%"]}},
    )
    segments: Annotated[dict[Name, Conditions], Field(max_length=50)] = setting(
        {},
        "Names for who takes part in a step (`match`).",
        {"beta": {"header": "X-Beta"}, "staff": [{"cookie": "staff"}, {"header": "X-User", "prefix": "staff-"}]},
    )
    analysis: Analysis = setting_group(Analysis, "What the verdict on a release is made of.", {"latency": False})
    windows: Windows = setting(
        [],
        "When rollouts may begin by themselves. Left out: at any time.",
        {"days": "mon-fri", "hours": "09:00-16:00", "zone": "Europe/Berlin"},
    )
    freezes: Annotated[list[Freeze], Field(max_length=100)] = setting(
        [],
        "Times in which nothing is deployed by itself.",
        [{"from": "2026-12-20", "to": "2027-01-02", "reason": "holidays"}],
    )
    budget: Budget | None = setting(
        None, "An error budget: used up, nothing is deployed by itself.", {"objective": "99.9%", "days": 28}
    )
    group: Group | None = setting(
        None,
        "Move together with other applications.",
        {"name": "checkout", "members": ["cart/production", "pay/production"]},
    )
    sticky: Sticky | None = setting(
        None, "Keep each user on one release while a canary runs.", {"cookie": "trimtab"}, {"header": "X-User-Id"}
    )
    replicas: int | None = setting(
        None, "How many instances of a release run here. Left out: `service.replicas`.", 3, ge=1, le=100
    )
    require: Annotated[Require, BeforeValidator(as_require, json_schema_input_type=Literal["none"] | Require)] = (
        setting_group(
            Require,
            "What must be attested of a release, and signed by a trusted key, before anything of it starts here; `none`"
            " lets everything in.",
            {"gates": ["unit-tests"], "max_age": "90d"},
            "none",
        )
    )
    env: Variables = setting({}, "Environment variables of instances here, on top of `service.env`.", {"STAGE": "eu"})

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if {"port", "listen"} <= self.model_fields_set:
            raise wrong("config-conflict", "has both `port` and `listen`", "keep `listen`: it has a port, too")
        return self
