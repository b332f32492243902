"""Metrics of one's own: numbers from elsewhere that are judged like the gateway's."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from trimtab.config.defaults import SOURCE
from trimtab.config.fields import Duration, HeaderName, HeaderValue, HttpUrl, Percent
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, duration, required, setting

MetricKind = Literal["events", "score", "rate"]
SourceKind = Literal["prometheus", "sql", "json", "datadog", "cloudwatch"]
KINDS: tuple[MetricKind, ...] = ("events", "score", "rate")
SOURCES: tuple[SourceKind, ...] = ("prometheus", "sql", "json", "datadog", "cloudwatch")
PLACEHOLDERS = ("release", "arm", "environment", "app", "since", "now", "window")
_PLACEHOLDER = re.compile(r"\$(?:\$|(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})")


def _query(text: str) -> str:
    for found in _PLACEHOLDER.finditer(text):
        name = found["name"] or found["braced"]
        if name is not None and name not in PLACEHOLDERS:
            known = ", ".join(f"`${placeholder}`" for placeholder in PLACEHOLDERS)
            raise wrong("config-invalid-value", f"has `{found[0]}`, which stands for nothing", f"known here: {known}")
    return text


Query = Annotated[str, StringConstraints(min_length=1, max_length=10_000), AfterValidator(_query)]


def _database(text: str) -> str:
    if re.match(r"(sqlite:///.|postgres(ql)?://.)", text):
        return text
    hint = "`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`"
    raise wrong("config-invalid-value", "must be the URL of a database", hint)


class Events(Settings):
    """Events of which some are bad: both as totals that only grow."""

    bad: Query = required("Query for how many were bad.", 'sum(refusals_total{release="$release"})')
    all: Query = required("Query for how many there were.", 'sum(answers_total{release="$release"})')


class Metric(Settings):
    """A metric of your own: what is measured (`events`, `score` or `rate`), and where it is read."""

    events: Events | None = setting(
        None,
        "Bad events among all events.",
        {"bad": 'sum(bad{release="$release"})', "all": 'sum(all{release="$release"})'},
    )
    score: Query | None = setting(
        None, "Query for a number between 0 and 1 for each judged answer; more is better.", "scores"
    )
    rate: Query | None = setting(
        None,
        "Query for how many there were; compared by the share of the traffic.",
        "select count(*) from refunds where release = $release and at >= $since",
    )
    prometheus: HttpUrl | None = setting(None, "A Prometheus server; queries are PromQL.", "http://prometheus:9090")
    sql: Annotated[str, AfterValidator(_database)] | None = setting(
        None, "A database; queries are SQL that give one row with one number.", "postgresql://reader@db/shop"
    )
    json_: HttpUrl | None = setting(
        None, "A URL that answers with JSON; queries are paths in it.", "https://evals.example/scores", alias="json"
    )
    datadog: HttpUrl | None = setting(None, "Datadog's API; queries are its own.", "https://api.datadoghq.eu")
    cloudwatch: HttpUrl | None = setting(
        None,
        "CloudWatch's API; queries are metric expressions.",
        "https://monitoring.eu-central-1.amazonaws.com",
    )
    headers: dict[HeaderName, HeaderValue] = setting(
        {},
        "Headers of requests; `${NAME}` is a variable of Trimtab's environment.",
        {"Authorization": "Bearer ${TOKEN}"},
    )
    margin: float | None = setting(
        None,
        "Promotion needs evidence of fewer than this many times the stable release's bad events, or of a mean score"
        " that is less than this below the stable release's. Left out: 1.5, and 0.03 for scores.",
        2,
        gt=0,
        le=10,
    )
    acceptable: Percent | None = setting(
        None,
        "`events`: ...or of less than this share of bad ones. Left out: only the margin counts.",
        "2%",
        json_schema_extra={"exclusiveMinimum": 0, "exclusiveMaximum": 100},
        gt=0,
        lt=100,
    )
    every: Duration = duration(SOURCE.every_s, "How often it is read.", "30s", ge=1, le=3600)
    timeout: Duration = duration(SOURCE.timeout_s, "A reading that takes longer is given up.", "5s", ge=0.1, le=300)
    fresh: Duration = duration(
        SOURCE.fresh_s,
        "Numbers that are older than this are no evidence: the rollout holds until there are newer ones.",
        "5m",
        ge=1,
        le=86_400,
    )

    @property
    def kind(self) -> MetricKind:
        return next(name for name in KINDS if getattr(self, name) is not None)

    @property
    def source(self) -> tuple[SourceKind, str]:
        """Its kind and its URL."""
        return next((name, url) for name in SOURCES if (url := self._source(name)) is not None)

    def _source(self, name: SourceKind) -> str | None:
        url: str | None = getattr(self, "json_" if name == "json" else name)
        return url

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        kinds = [name for name in KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            hint = "for example `events: {bad: ..., all: ...}`"
            raise wrong("config-conflict", "must have one of `events`, `score` and `rate`", hint)
        given = [name for name in SOURCES if self._source(name) is not None]
        if len(given) != 1:
            names = ", ".join(f"`{name}`" for name in SOURCES)
            hint = "for example `prometheus: http://prometheus:9090`"
            raise wrong("config-conflict", f"must have one source: {names}", hint)
        return self._margin_fits(kinds[0])

    def _margin_fits(self, kind: str) -> Self:
        if self.margin is not None and (self.margin >= 1 if kind == "score" else self.margin <= 1):
            bound = "less than 1" if kind == "score" else "more than 1"
            raise wrong("config-invalid-value", f"has a margin of {self.margin:g}; for `{kind}` it is {bound}", "")
        if self.acceptable is not None and kind != "events":
            raise wrong("config-conflict", f"has `acceptable`, which is for `events` and not for `{kind}`", "remove it")
        if self.every + self.timeout > self.fresh:
            message = "would hold the rollout again and again: `fresh` is shorter than `every` and `timeout` together"
            raise wrong("config-conflict", message, "give `fresh` more time")
        return self
