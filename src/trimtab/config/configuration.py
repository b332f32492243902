"""The shape of a whole `trimtab.yaml`.

The loader, the JSON Schema and the tables of the reference page all come from this and the groups of settings in it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from trimtab.config.application import Service
from trimtab.config.defaults import ENVIRONMENT, ENVIRONMENT_NAME
from trimtab.config.environment import Environment
from trimtab.config.fields import Command, EnvName, Name
from trimtab.config.pipeline import Step, step
from trimtab.config.previews import Previews, as_previews
from trimtab.config.release import Release
from trimtab.config.schedules import Schedule
from trimtab.config.secrets import Secret
from trimtab.config.setting import Settings, group, required, setting
from trimtab.core.model.specification import NewerPolicy


class ConfigurationFile(Settings):
    """The configuration of one application for Trimtab."""

    app: Name = required("Name of the application.", "shop")
    service: Service = required(
        "How instances run: what starts one, when it is ready, how it is stopped.",
        {"command": "python -m shop --port $PORT"},
    )
    pipeline: dict[Name, Annotated[Step, BeforeValidator(step, json_schema_input_type=Command | Step)]] = setting(
        {},
        "Steps that a change must pass before it becomes a release, by name: a command, or a mapping.",
        {"test": "python -m pytest", "lint": {"run": "ruff check", "needs": ["test"]}},
    )
    secrets: dict[EnvName, Secret] = setting(
        {},
        "Where the secrets come from that steps ask for, by name. Left out: all from Trimtab itself, which was given"
        " them by `trimtab secrets set` or finds them in its environment.",
        {"OPENAI_API_KEY": {}, "DB_PASSWORD": {"sops": "secrets.enc.yaml", "key": "db.password"}},
    )
    parallel: int | None = setting(
        None,
        "How many steps of a run run side by side. Left out: as many as the machine has processors.",
        4,
        ge=1,
        le=256,
    )
    release: Release = group(
        Release, "What goes into a release: its parts, prompts, model, configuration and flags.", {"parts": ["src/"]}
    )
    environments: Annotated[dict[Name, Environment], Field(min_length=1)] = group(
        lambda: {ENVIRONMENT_NAME: Environment()},
        "The places where releases run, in order: a release goes to the next one when it was promoted. The"
        " last one is production. Left out: `production` on port 8080 with a canary.",
        {"staging": {"port": 8081}, "production": {"port": 8080}},
        shown={ENVIRONMENT_NAME: {"port": ENVIRONMENT.port}},
    )
    on_newer_change: NewerPolicy = setting(
        "latest",
        "When a newer change meets one that is still on its way. `latest`: it waits, and of several that wait only the"
        " newest goes on. `queue`: all go on, in order. `cancel`: the one on its way is stopped.",
        "queue",
    )
    schedules: Annotated[dict[Name, Schedule], Field(max_length=50)] = setting(
        {},
        "Runs of the pipeline at stated times, by name. They deploy nothing unless they say so.",
        {"nightly": {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "steps": ["evals"]}},
    )
    previews: Annotated[Previews | None, BeforeValidator(as_previews, json_schema_input_type=bool | Previews)] = (
        setting(
            None,
            "An environment of its own for each pull request that passes, for as long as it is open. What counts is"
            " what the deployed branch says, not the pull request. Left out: none.",
            True,
            {"ports": "9000-9019", "keep": "48h", "env": {"STAGE": "preview"}},
        )
    )
