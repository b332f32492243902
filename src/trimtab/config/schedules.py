"""The settings of schedules: runs of the pipeline at stated times."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from trimtab.config.admission import Moment, Zone, check_rule
from trimtab.config.cron import rules_of
from trimtab.config.defaults import SCHEDULE
from trimtab.config.hours import parse_moment
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, listed, setting

MOST_A_DAY = 96
"""Of a rule."""


def _cron(text: str) -> str:
    rules_of(text)
    return text


def _check_pace(rule: str) -> None:
    """What comes often is counted through from its start; cron's fields need none."""
    parts = dict(part.partition("=")[::2] for part in rule.removeprefix("RRULE:").split(";"))
    numbers = {name: len(parts.get(name, "").split(",")) for name in ("BYHOUR", "BYMINUTE", "BYSECOND")}
    hours = 24 if parts.get("FREQ") == "HOURLY" else numbers["BYHOUR"]
    if hours * numbers["BYMINUTE"] * numbers["BYSECOND"] > MOST_A_DAY:
        hint = 'for example `cron: "*/5 * * * *"`'
        raise wrong("config-schedule", f"has a rule for more than {MOST_A_DAY} times a day; say it with `cron`", hint)


class Schedule(Settings):
    """Runs of the pipeline at stated times, of the deployed branch's head: by `cron`, or by a `rule`."""

    cron: Annotated[str, AfterValidator(_cron)] | None = setting(
        None,
        "When, in cron's five fields: minute, hour, day of the month, month, day of the week; or `@daily` and its"
        " like.",
        "0 3 * * *",
        "*/15 9-17 * * mon-fri",
        max_length=1000,
    )
    rule: str | None = setting(
        None, "When, as a recurrence rule (RRULE).", "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", max_length=1000
    )
    start: Moment | None = setting(
        None,
        "When the rule begins, by which its time of day is known, and what an INTERVAL counts from. Left out: at"
        " midnight, long ago.",
        "2026-01-06T09:00",
    )
    timezone: Zone = setting(SCHEDULE.timezone, "Time zone in which all this is meant.", "Europe/Berlin")
    steps: Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])] = setting(
        [], "Only these steps and those that they need. Left out: all.", ["evals"]
    )
    deploy: bool = setting(
        SCHEDULE.deploy,
        "Whether a release is cut and deployed, as for a push. It waits for the deployed branch's own run.",
        True,
    )

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if (self.cron is None) == (self.rule is None):
            hint = 'for example `cron: "0 3 * * *"`, or `rule: FREQ=DAILY;BYHOUR=3`'
            raise wrong("config-conflict", "must have either `cron` or `rule`", hint)
        if self.cron is not None and self.start is not None:
            raise wrong("config-conflict", "has `start`, which only a `rule` has", "remove it")
        if self.deploy and self.steps:
            hint = "a release has what all steps have made: remove one of them"
            raise wrong("config-conflict", "has both `deploy` and `steps`", hint)
        if self.rule is not None:
            _check_pace(self.rule)
            check_rule(self.rule, self.start or SCHEDULE.start)
        return self

    def rules(self) -> tuple[tuple[str, ...], str]:
        """Its rules, and when they begin; empty: whenever."""
        if self.cron is not None:
            return rules_of(self.cron), ""
        start = parse_moment(self.start or SCHEDULE.start).replace(tzinfo=None)
        return ((self.rule or "").removeprefix("RRULE:"),), start.isoformat()
