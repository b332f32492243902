"""The steps of a strategy."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from trimtab.config.defaults import GATE, MIRROR, STRATEGY_STEP
from trimtab.config.fields import Command, Duration, HeaderName, HeaderValue, HttpUrl, Name, Percent, Variables
from trimtab.config.quantities import wrong
from trimtab.config.segments import Conditions
from trimtab.config.setting import Settings, duration, mapping, percent, required_percent, setting
from trimtab.core.model.strategy import Compare

LONGEST_S = 604_800


class Gate(Settings):
    """Something outside that has to agree. A command alone is short for `{run: COMMAND}`, a URL for `{url: URL}`."""

    run: Command | None = setting(
        None, "Shell command, run in the new release's files. Exit code 0: passed; else: failed.", "python smoke.py"
    )
    url: HttpUrl | None = setting(
        None,
        'Asked until it answers. 2xx: passed, unless its JSON says `{"status": "fail"}` or `"wait"`; 202, 404, 425, 429'
        " and 5xx: asked again; anything else: failed.",
        "https://ci.example/gate",
    )
    method: Literal["GET", "POST"] = setting(GATE.method, "How the URL is asked.", "GET")
    headers: dict[HeaderName, HeaderValue] = setting(
        {},
        "Headers of the request; `${NAME}` is a variable of Trimtab's environment.",
        {"Authorization": "Bearer ${TOKEN}"},
    )
    timeout: Duration = duration(
        GATE.timeout_s, "A gate that has not passed by then has failed.", "30m", ge=1, le=86_400
    )
    every: Duration = duration(GATE.every_s, "How often the URL is asked again.", "30s", ge=0.5, le=3600)
    name: Name | None = setting(None, "What people call it. Left out: `gate`.", "smoke")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.run is None) == (self.url is None):
            raise wrong("config-conflict", "must have either `run` or `url`", "for example `{run: python smoke.py}`")
        return self


def as_gate(value: Any) -> Any:
    """Write out the short form of a gate."""
    if isinstance(value, str):
        return {"url" if re.match(r"[a-z]+://", value) else "run": value}
    return mapping(value, "a command, a URL or a mapping", "for example `gate: python smoke.py`")


def _json_path(text: str) -> str:
    if re.fullmatch(r"[^.\s]+(\.[^.\s]+)*", text):
        return text
    raise wrong("config-invalid-value", "must be a path in JSON", "for example `choices.*.id`")


JsonPath = Annotated[str, StringConstraints(max_length=200), AfterValidator(_json_path)]


class Mirror(Settings):
    """A copy of the stable release's requests also goes to the new one; nobody gets its answers. `mirror: 20%` is short
    for `{share: 20%}`."""

    share: Percent = percent(MIRROR.share_pct, "How many of the requests are copied; 0% ends it.", "20%", ge=0, le=100)
    compare: Compare = setting(
        MIRROR.compare,
        "What of both answers is compared. `status`: 2xx, 4xx, ... `exact`: status and bytes. `json`: status and JSON"
        " without the paths in `ignore`. `similar`: status and how alike the words are.",
        "json",
    )
    ignore: list[JsonPath] = setting(
        [], "Paths of JSON that may differ; `*` stands for any name or number.", ["usage.total_tokens", "choices.*.id"]
    )
    alike: Percent = percent(MIRROR.alike_pct, "`similar`: answers that are less alike differ.", "90%", gt=0, le=100)
    acceptable: Percent = percent(
        MIRROR.acceptable_pct,
        "Promotion needs evidence that less than this share of the answers differ.",
        "2%",
        gt=0,
        lt=100,
    )


def as_mirror(value: Any) -> Any:
    """Write out the short form of a mirror."""
    if value is False:
        return {"share": 0}
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return {"share": value}
    return mapping(value, "a percentage, `false` or a mapping", "for example `mirror: 20%`")


class Experiment(Settings):
    """Several candidates against one baseline: the new release, variants of it, and fresh instances of the stable
    release, each with the same share."""

    weight: Percent = required_percent("Share of the traffic that each arm gets.", "5%", gt=0, le=50)
    replicas: int = setting(1, "How many instances each variant and the baseline have.", 2, ge=1, le=100)
    variants: Annotated[dict[Name, Variables], Field(max_length=8)] = setting(
        {},
        "Variants of the new release by name, each with its environment variables.",
        {"short-prompt": {"PROMPT": "short"}},
    )

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        arms = len(self.variants) + 2
        if self.weight * arms > 100:
            message = f"gives {arms} arms {self.weight:g} % each: together more than 100 %"
            raise wrong("config-conflict", message, f"at most {100 // arms} % each")
        if {"baseline"} & self.variants.keys():
            raise wrong("config-conflict", "has a variant `baseline`, which is the stable release's name", "rename it")
        return self


class StepSettings(Settings):
    """A step of a canary. `25%` is short for `{weight: 25%}`, `approve` for `{approve: true}`. Weight, match, mirror
    and scale stay until a later step changes them."""

    weight: Percent | None = setting(
        None,
        "Share of the traffic that goes to the new release. Left out: as in the step before.",
        "5%",
        json_schema_extra={"minimum": 0, "maximum": 100},
        ge=0,
        le=100,
    )
    hold: Duration | None = setting(
        None,
        "How long the step lasts at least. Left out: 10s when the step moves traffic, else no time.",
        "5m",
        json_schema_extra={"minimum": 0, "maximum": LONGEST_S},
        ge=0,
        le=LONGEST_S,
    )
    requests: int | None = setting(
        None,
        "How many requests the new release must have got in the step at least. Left out: 20 when the step moves"
        " traffic, else none.",
        100,
        ge=0,
        le=10_000_000,
    )
    evidence: bool | None = setting(
        None,
        "Wait until the analysis says that the new release is good enough. Left out: only the last step with traffic.",
        True,
    )
    gate: Annotated[Gate, BeforeValidator(as_gate, json_schema_input_type=Command | Gate)] | None = setting(
        None, "Wait for something outside to agree: a command, a URL or a mapping.", "python smoke.py"
    )
    approve: bool = setting(STRATEGY_STEP.approve, "Wait for a person to say so (`trimtab approve`).", True)
    match: Conditions | None = setting(
        None,
        "Who takes part: segments or conditions, or `everybody`. Left out: as in the step before.",
        "beta",
        {"header": "X-Beta", "equals": "1"},
    )
    mirror: (
        Annotated[Mirror, BeforeValidator(as_mirror, json_schema_input_type=Percent | Literal[False] | Mirror)] | None
    ) = setting(None, "Copy requests to the new release. Left out: as in the step before.", "20%", {"compare": "json"})
    scale: int | None = setting(
        None,
        "How many instances the new release has. Left out: as in the step before, at first as many as the environment.",
        1,
        ge=1,
        le=100,
    )
    experiment: Experiment | None = setting(
        None,
        "Compare several candidates with one baseline.",
        {"weight": "5%", "variants": {"short": {"PROMPT": "short"}}},
    )
    ramp: Duration | None = setting(
        None,
        "The share grows evenly over this time instead of at once. Left out: the strategy's `ramp`.",
        "1m",
        json_schema_extra={"minimum": 0, "maximum": LONGEST_S},
        ge=0,
        le=LONGEST_S,
    )
    name: Name | None = setting(None, "What people call the step.", "warm-up")

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Self:
        if self.experiment is not None:
            for other in ("weight", "mirror", "match", "ramp", "scale"):
                if getattr(self, other) is not None:
                    raise wrong("config-conflict", f"has both `experiment` and `{other}`", "make two steps of it")
        if not self.model_fields_set:
            raise wrong("config-invalid-value", "asks for nothing", "for example `{weight: 25%, hold: 5m}`")
        return self

    @property
    def moves_traffic(self) -> bool:
        return any(setting is not None for setting in (self.weight, self.mirror, self.match, self.experiment))


def as_step(value: Any) -> Any:
    """Write out the short form of a step."""
    if value == "approve":
        return {"approve": True}
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return {"weight": value}
    return mapping(value, "a percentage, `approve` or a mapping", "for example `25%` or `{weight: 25%, hold: 5m}`")


Steps = Annotated[
    list[
        Annotated[
            StepSettings, BeforeValidator(as_step, json_schema_input_type=Percent | Literal["approve"] | StepSettings)
        ]
    ],
    Field(min_length=1, max_length=100),
]
